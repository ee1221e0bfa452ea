//! What the client is held to, gathered from all parts of a run.

use crate::table::verdict;

struct Bar {
    what: String,
    figure: String,
    bar: String,
    held: bool,
}

/// Every bar that a run had a figure for.
#[derive(Default)]
pub(crate) struct Bars(Vec<Bar>);

impl Bars {
    /// A figure that must not exceed a bar. Says whether it does, in a word.
    pub(crate) fn at_most(
        &mut self,
        what: impl Into<String>,
        figure: f64,
        bar: f64,
        unit: &str,
    ) -> &'static str {
        // As many digits as it takes to tell 1.02 from 1.019, and 25 from 25.4.
        let digits = |number: f64| {
            if unit.is_empty() {
                format!("{number:.3}")
            } else {
                format!("{number:.2}{unit}")
            }
        };
        self.0.push(Bar {
            what: what.into(),
            figure: digits(figure),
            bar: digits(bar),
            held: figure <= bar,
        });
        verdict(figure, bar)
    }

    /// How many were missed.
    pub(crate) fn missed(&self) -> usize {
        self.0.iter().filter(|bar| !bar.held).count()
    }

    pub(crate) fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!("## Held against the bars\n");
        println!("| what | measured | at most | |\n|---|---|---|---|");
        for Bar {
            what,
            figure,
            bar,
            held,
        } in &self.0
        {
            let word = if *held { "held" } else { "**missed**" };
            println!("| {what} | {figure} | {bar} | {word} |");
        }
        println!();
    }
}
