//! How long to wait before a request is sent again.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use chrono::{DateTime, Utc};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::settings::Retry;

/// Whether the same request may be answered otherwise in a moment.
pub(crate) fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// The pauses between attempts: each twice as long as the one before it, and up to as much again by chance, so that
/// the requests that failed together do not come back together. One fewer than there are attempts.
pub(crate) fn pauses(retry: &Retry) -> ExponentialBackoff {
    let more = usize::try_from(retry.attempts.get() - 1).unwrap_or(usize::MAX);
    ExponentialBuilder::default()
        .with_min_delay(retry.first_pause)
        .with_max_delay(retry.longest_pause)
        .with_max_times(more)
        .with_jitter()
        .build()
}

/// The pause that a response asks for (RFC 9110, section 10.2.3), at most `longest`; `None` where it asks for
/// none that can be read.
///
/// A date is measured against the response's own `Date`, so that a clock that is wrong here does no harm.
pub(crate) fn asked(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(longest, Duration::from_secs)
    } else {
        let until = DateTime::parse_from_rfc2822(text).ok()?.to_utc();
        let now = headers
            .get(DATE)
            .and_then(date)
            .unwrap_or_else(|| SystemTime::now().into());
        (until - now).to_std().unwrap_or_default()
    };
    Some(wait.min(longest))
}

fn date(value: &HeaderValue) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(value.to_str().ok()?).ok()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    fn of(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        asked(&headers, LONGEST)
    }

    #[test]
    fn seconds_and_dates_are_honoured_and_absurd_ones_capped() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |count| Some(Duration::from_secs(count));
        for (text, expected) in [
            ("0", seconds(0)),
            ("7", seconds(7)),
            ("3600", seconds(60)),
            ("99999999999999999999999999", seconds(60)),
            ("Sun, 06 Nov 1994 08:49:42 GMT", seconds(5)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", seconds(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", seconds(60)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(of(text, date), expected, "{text}");
        }
        assert_eq!(of("Sun, 06 Nov 1994 08:49:42 GMT", None), seconds(0));
        assert_eq!(asked(&HeaderMap::new(), LONGEST), None);
    }

    #[test]
    fn pauses_grow_with_jitter_and_there_is_one_fewer_than_attempts() {
        let retry = Retry::default();
        let pauses: Vec<_> = pauses(&retry).collect();
        assert_eq!(pauses.len(), 4);
        for (index, pause) in pauses.iter().enumerate() {
            let least = retry.first_pause * 2_u32.pow(u32::try_from(index).unwrap());
            assert!((least..=least * 2).contains(pause), "{index}: {pause:?}");
        }
    }

    #[test]
    fn only_what_may_pass_is_sent_again() {
        let retried: Vec<_> = (400..600)
            .filter(|code| passes(StatusCode::from_u16(*code).unwrap()))
            .collect();
        assert_eq!(retried, [429, 500, 502, 503, 504]);
    }
}
