//! What an expression may look like. The library that expands it takes more than cron has, and some of it in ways that
//! nobody would guess (`MONTUE` is 12 to it), so the text is checked first.

use crate::cron::CronError;

/// A field: what it is called, its bounds, and names for its values.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    /// The first of these names is `least`.
    names: &'static [&'static str],
}

const FIELDS: [Field; 6] = [
    Field {
        name: "second",
        least: 0,
        most: 59,
        names: &[],
    },
    Field {
        name: "minute",
        least: 0,
        most: 59,
        names: &[],
    },
    Field {
        name: "hour",
        least: 0,
        most: 23,
        names: &[],
    },
    Field {
        name: "day of month",
        least: 1,
        most: 31,
        names: &[],
    },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    },
    Field {
        name: "day of week",
        least: 0,
        most: 7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

/// The six fields of an expression, the second first; a name for several of them is spelled out.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, CronError> {
    let text = match text.trim() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        name if name.starts_with('@') => return Err(CronError::Name(name.to_owned())),
        fields => fields,
    };
    let mut fields: Vec<_> = text.split_ascii_whitespace().map(str::to_owned).collect();
    if fields.len() == 5 {
        fields.insert(0, "0".to_owned());
    }
    if fields.len() != FIELDS.len() {
        return Err(CronError::Fields(fields.len()));
    }
    for (text, field) in fields.iter_mut().zip(&FIELDS) {
        let upper = text.to_ascii_uppercase();
        let items: Result<Vec<_>, _> = upper.split(',').map(|item| field.item(item)).collect();
        *text = items?.join(",");
    }
    Ok(fields)
}

impl Field {
    /// `*`, a value or a range, and a step behind `*` or a range; with numbers for names.
    fn item(&self, item: &str) -> Result<String, CronError> {
        let wrong = |why: String| CronError::Field {
            field: self.name,
            item: item.to_owned(),
            why,
        };
        let (values, step) = match item.split_once('/') {
            Some((values, step)) => (values, Some(step)),
            None => (item, None),
        };
        let (values, is_range) = match (values, values.split_once('-')) {
            ("*", _) => ("*".to_owned(), true),
            (_, Some((from, to))) => {
                let (from, mut to) = (self.value(from).map_err(wrong)?, self.value(to).map_err(wrong)?);
                if from > to && to == 0 && self.most == 7 {
                    // Sunday has two numbers, and a week that ends with it means the later one.
                    to = 7;
                }
                if from > to {
                    return Err(wrong("it ends before it begins".to_owned()));
                }
                (format!("{from}-{to}"), true)
            }
            (value, None) => (self.value(value).map_err(wrong)?.to_string(), false),
        };
        let span = self.most - self.least + 1;
        match step {
            None => Ok(values),
            Some(_) if !is_range => Err(wrong("a step needs a range, as in 10-59/5 or */5".to_owned())),
            Some(step) => match number(step) {
                Some(step) if (1..=span).contains(&step) => Ok(format!("{values}/{step}")),
                _ => Err(wrong(format!("its step is no number from 1 to {span}"))),
            },
        }
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        if let Some(position) = self.names.iter().position(|name| *name == text) {
            return u8::try_from(position)
                .map(|position| position + self.least)
                .map_err(|error| error.to_string());
        }
        match number(text) {
            Some(value) if (self.least..=self.most).contains(&value) => Ok(value),
            _ => Err(format!("{text:?} is not one of {} to {}", self.least, self.most)),
        }
    }
}

fn number(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}
