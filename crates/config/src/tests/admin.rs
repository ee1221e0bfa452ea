use std::path::Path;

use super::lines;
use crate::{Config, Right};

fn read(admin: &str) -> Result<Config, Vec<String>> {
    Config::read("lagan.yaml", format!("admin: {admin}\n")).map_err(|errors| lines(&errors))
}

#[test]
fn a_daemon_is_reached_at_an_address_by_names_and_with_tokens() {
    let config = read(
        "{listen: '[::1]:8480', hosts: Lagan.Example.com, tokens: {ci: {file: ci.token, rights: [plan, read, plan]}, \
         people: {file: /run/secrets/people, rights: undo}}}",
    );
    let admin = config.unwrap().admin;
    assert_eq!(admin.listen, "[::1]:8480".parse().ok());
    assert_eq!(admin.hosts.iter().collect::<Vec<_>>(), ["lagan.example.com"]);
    assert_eq!(admin.tokens[0].name, "ci");
    assert_eq!(admin.tokens[0].file, Path::new("ci.token"));
    assert!(
        admin.tokens[0]
            .rights
            .iter()
            .eq([Right::Read, Right::Plan].iter())
    );
    assert!(admin.tokens[1].rights.iter().eq([Right::Undo].iter()));
    // Nowhere but on the socket, and for nobody but its owner, unless that is said.
    let nothing = Config::read("lagan.yaml", "registries: {r: {url: 'http://r'}}\n").unwrap();
    assert_eq!(nothing.admin, crate::AdminSettings::default());
}

#[test]
fn what_reaches_no_daemon_is_refused_where_it_stands() {
    for (admin, error) in [
        (
            "{listen: localhost:8480}",
            "1:17 `localhost:8480` is no address to listen on [an address and a port, as 127.0.0.1:8480 or [::1]:8480]",
        ),
        (
            "{hosts: ['https://lagan']}",
            "1:17 `https://lagan` is no host name [a name such as lagan.example.com, without a scheme and a port]",
        ),
        (
            "{tokens: {ci: {file: t, rights: [all]}}}",
            "1:41 `all` is not one of read, plan, apply, undo",
        ),
        (
            "{tokens: {ci: {rights: read}}}",
            "1:18 a token needs `file` [`file: /run/secrets/lagan-ci`]",
        ),
        (
            "{tokens: {ci: {token: s3cr3t, rights: read}}}",
            "1:23 a configuration holds no secret [write it to a file, and give `file`]",
        ),
    ] {
        assert_eq!(read(admin).unwrap_err(), [error], "{admin}");
    }
    let errors = Config::read("lagan.yaml", "admin: {tokens: {ci: {token: s3cr3t}}}\n").unwrap_err();
    assert!(!errors.to_string().contains("s3cr3t"), "{errors}");
}
