//! Content for benchmarks.

use super::*;
use crate::harbor::Population;

#[tokio::test]
async fn a_population_is_read_a_hundred_artifacts_a_request() {
    let population = Population {
        projects: 2,
        repositories: 5,
        artifacts: 501,
        tags: 1_003,
    };
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.harbor().populate(&population);
    let (mut artifacts, mut tags, mut requests) = (0, 0, 0);
    for project in ["bench-0", "bench-1"] {
        let mut after = 0;
        loop {
            let query = format!("page_size=100&sort=id&q=id%3D%5B{}~%5D", after + 1);
            let rows = get(&mut http, &api(&format!("/projects/{project}/artifacts?{query}"))).await;
            requests += 1;
            artifacts += ids(&rows).len();
            tags += each(&rows, |row| tags_of(row).len()).iter().sum::<usize>();
            match ids(&rows).last() {
                Some(last) if ids(&rows).len() == 100 => after = *last,
                _ => break,
            }
        }
    }
    assert_eq!((artifacts, tags, requests), (501, 1_003, 7));
    let repositories = get(&mut http, &api("/repositories?page_size=100&sort=name")).await;
    let mut expected = population.names();
    expected.sort_unstable();
    assert_eq!(names(&repositories), expected);
    let newest = get(&mut http, &artifact_path("bench-0/app-000", "?page_size=1")).await;
    assert_eq!(newest[0]["push_time"], "2026-06-30T23:00:00.000Z");
    assert_eq!(tags_of(&newest[0])[0], "1.100.0");
}
