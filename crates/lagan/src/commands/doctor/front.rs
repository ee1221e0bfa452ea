//! Before anything is asked of a registry: is it there, who vouches for it, and what time is it there.

use chrono::{TimeDelta, Utc};
use lagan_model::Time;
use lagan_registry::{Certificate, Front, FrontError};
use lagan_report::doctor::{Finding, Level};
use lagan_report::wording::moment;

use super::{Patient, of_error};
use crate::exit::Failure;

/// A certificate that ends sooner is worth a warning.
const SOON: TimeDelta = TimeDelta::days(14);

/// Clocks that are further apart change what ages and windows mean.
const APART: TimeDelta = TimeDelta::seconds(60);

/// Looks; answers whether there is somebody to go on with.
pub(super) async fn look(patient: &Patient, findings: &mut Vec<Finding>) -> Result<bool, Failure> {
    let url = patient.settings.url.as_str();
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let front = match Front::look(&patient.settings).await {
        Ok(front) => front,
        Err(FrontError::Nobody(error)) => {
            findings.push(of_error("name", Level::Failed, &error));
            return Ok(false);
        }
        Err(FrontError::Tls(error)) => {
            findings.push(Finding::new("name", Level::Ok, format!("{host} answers")));
            findings.push(of_error("tls", Level::Failed, &error));
            return Ok(false);
        }
        Err(FrontError::Settings(error)) => return Err(error.into()),
    };
    let now = Utc::now();
    let at = front.address.map_or_else(
        || format!("{host} answers"),
        |address| format!("{host} answers at {address}"),
    );
    findings.push(Finding::new("name", Level::Ok, at));
    findings.push(match &front.certificate {
        Some(certificate) => trusted(certificate, now),
        None => plain(patient, &front),
    });
    findings.push(clock(&front, now));
    Ok(true)
}

fn trusted(certificate: &Certificate, now: Time) -> Finding {
    let Some(end) = certificate.not_after else {
        let text = "the certificate is trusted; until when it is valid cannot be read";
        return Finding::new("tls", Level::Unknown, text).needed(false);
    };
    let left = (end - now).num_days();
    let text = format!(
        "the certificate is trusted; signed by {}, valid until {} ({left} days)",
        certificate.issuer,
        moment(end)
    );
    if end - now < SOON {
        let hint = "renew it: without a valid certificate nothing is asked of the registry";
        return Finding::new("tls", Level::Warning, text).with_hint(hint);
    }
    Finding::new("tls", Level::Ok, text)
}

fn plain(patient: &Patient, front: &Front) -> Finding {
    let text = "plain HTTP: whoever is on the way can read and change what is sent";
    let is_here = front.address.is_some_and(|address| address.ip().is_loopback());
    match (is_here, patient.settings.credentials.is_some()) {
        (true, _) => Finding::new("tls", Level::Note, "plain HTTP, on this machine"),
        (false, false) => Finding::new("tls", Level::Note, text),
        (false, true) => Finding::new("tls", Level::Warning, format!("{text}, the password among it"))
            .with_hint("reach the registry by https"),
    }
}

fn clock(front: &Front, now: Time) -> Finding {
    let Some(theirs) = front.date else {
        let text = "the registry does not say what time it is there";
        return Finding::new("clock", Level::Unknown, text).needed(false);
    };
    // The answer was dated, to the second, at some moment between question and answer.
    let took = TimeDelta::from_std(front.took).unwrap_or_default() + TimeDelta::seconds(1);
    let ahead = theirs - now;
    let (side, apart) = match ahead > TimeDelta::zero() {
        true => ("ahead of", ahead),
        false => ("behind", -ahead),
    };
    if apart <= APART + took {
        return Finding::new(
            "clock",
            Level::Ok,
            "the registry's clock agrees with this machine's",
        );
    }
    let text = format!(
        "the registry's clock is {} {side} this machine's: it says {}",
        length(apart),
        moment(theirs)
    );
    Finding::new("clock", Level::Warning, text)
        .with_hint("set both by NTP: ages are counted from this machine's clock to the registry's times")
}

fn length(time: TimeDelta) -> String {
    match (time.num_days(), time.num_hours(), time.num_minutes()) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, _) => format!("{hours} h"),
        (days, ..) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now() -> Time {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_clock_that_is_off_is_told_and_a_slow_answer_is_not() {
        let level = |seconds: i64, took: u64| {
            let front = Front {
                address: None,
                certificate: None,
                date: Some(now() + TimeDelta::seconds(seconds)),
                took: Duration::from_secs(took),
            };
            clock(&front, now()).level
        };
        assert_eq!(level(0, 0), Level::Ok);
        assert_eq!(level(-61, 0), Level::Ok);
        assert_eq!(level(-62, 0), Level::Warning);
        assert_eq!(level(-90, 30), Level::Ok);
        assert_eq!(level(3600, 0), Level::Warning);
    }

    #[test]
    fn a_certificate_that_ends_soon_is_a_warning() {
        let level = |days: i64| {
            let certificate = Certificate {
                not_after: Some(now() + TimeDelta::days(days)),
                issuer: "CN=ca".to_owned(),
            };
            trusted(&certificate, now()).level
        };
        assert_eq!(
            (level(13), level(14), level(300)),
            (Level::Warning, Level::Ok, Level::Ok)
        );
    }
}
