//! Harbor's garbage collection: until when a deletion can be undone.

use lagan_registry::Examination;
use lagan_report::doctor::{Finding, Level};
use lagan_report::wording::moment;

use super::{Patient, of_error};

const CHECK: &str = "collections";

pub(super) fn look(patient: &Patient, examined: &Examination, findings: &mut Vec<Finding>) {
    let needed = patient.purposes.writes();
    findings.push(match &examined.schedule {
        Err(error) => {
            let mut finding = of_error(CHECK, Level::Unknown, error).needed(needed);
            finding.text = format!(
                "when garbage is collected, and so until when a deletion can be undone, is not told: {}",
                finding.text
            );
            finding.with_hint("this takes `garbage-collection:read` of the system")
        }
        Ok(None) => Finding::new(CHECK, Level::Ok, "no collection is scheduled"),
        Ok(Some(schedule)) => {
            let next = schedule
                .next
                .map_or_else(String::new, |next| format!(", next at {}", moment(next)));
            let when = format!("{} ({}){next}", schedule.kind.to_lowercase(), schedule.cron);
            match schedule.delete_untagged {
                Some(true) => Finding::new(
                    CHECK,
                    Level::Warning,
                    format!(
                        "garbage is collected {when}, with `delete_untagged`: what has no tag is taken then, however \
                         new, and whatever a policy keeps; nothing that was deleted comes back after that"
                    ),
                )
                .with_hint("switch `delete_untagged` off, and let a rule with `untagged` decide"),
                Some(false) => {
                    let text = format!("garbage is collected {when}: until it starts, a deletion can be undone");
                    Finding::new(CHECK, Level::Note, text)
                }
                None => Finding::new(
                    CHECK,
                    Level::Unknown,
                    format!("garbage is collected {when}; whether with `delete_untagged` cannot be read"),
                )
                .needed(needed),
            }
        }
    });
    findings.push(match &examined.collections {
        Err(error) => {
            let mut finding = of_error(CHECK, Level::Unknown, error).needed(needed);
            finding.text = format!(
                "whether garbage is being collected now is not told: {}",
                finding.text
            );
            finding.with_hint("this takes `garbage-collection:list` of the system")
        }
        Ok(runs) => match runs.iter().find(|run| run.is_open()) {
            Some(run) => {
                let since = run
                    .started
                    .map_or_else(String::new, |started| format!(" since {}", moment(started)));
                let untagged = match run.delete_untagged {
                    Some(true) => ", with `delete_untagged`",
                    _ => "",
                };
                let text = format!(
                    "garbage is being collected: run {} is {}{since}{untagged}",
                    run.id,
                    run.status.to_lowercase()
                );
                Finding::new(CHECK, Level::Warning, text)
                    .with_hint("wait until it has ended: what is deleted meanwhile may not come back")
            }
            None => Finding::new(CHECK, Level::Ok, "no garbage is being collected now"),
        },
    });
}
