//! `lagan journal`: what was deleted, when and why; moving the journal, and checking it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use lagan_model::Time;
use lagan_model::journal::{Begin, Outcome, Record, RestoreOutcome, RunId, Sequence};
use lagan_report::number::{count, mebibytes};
use lagan_report::sanitize::harmless;
use lagan_report::{Deed, HistoryFormat, Restored, RunNote, RunWriter, What, write_runs};
use lagan_state::{AuditCheck, DiskJournal, Notice, Options, Restoration, RunRecord, RunSummary, StateError};

use crate::admin::Client;
use crate::cli::{Colour, JournalCommand, JournalFormat};
use crate::exit::{Exit, Failure};
use crate::outcome::lasting::undo_on_record;
use crate::output::{Output, is_coloured};
use crate::{collecting, settings, state};

pub(crate) fn run(
    config: Option<&Path>,
    named: Option<&Path>,
    colour: Colour,
    command: &JournalCommand,
) -> Result<Exit, Failure> {
    // A configuration that cannot be read is no reason to keep anybody from the journal that was named.
    let config = match named {
        Some(_) => None,
        None => settings::find_config(config)?.map(|(_, config)| config),
    };
    let configured = config.as_ref().and_then(|config| config.state_dir.as_deref());
    let directory = state::directory(named, configured)?;
    carry_out(&directory, colour, command).map_err(|mut failure| {
        match state::error(&failure) {
            // What is sound in one copy is repaired by whoever opens it next.
            Some(error) if error.is_damage() => failure.exit = Exit::Partial,
            Some(error) if error.is_full() => failure.exit = Exit::Refused,
            _ => {}
        }
        failure
    })
}

fn carry_out(directory: &Path, colour: Colour, command: &JournalCommand) -> Result<Exit, Failure> {
    match command {
        JournalCommand::List { format } => {
            let form = form(*format, colour);
            let read = print(|out| list(&*state::open(directory)?, form, out));
            or_by_daemon(read, directory, "/api/v1/journal", form)
        }
        JournalCommand::Show { run, format } => {
            let form = form(*format, colour);
            // Before anybody is asked: a daemon would be asked for something else.
            let name = wanted(run)?.map_or_else(|| LAST.to_owned(), |run| run.to_string());
            let read = print(|out| show(&*state::open(directory)?, &name, form, out));
            or_by_daemon(read, directory, &format!("/api/v1/journal/{name}"), form)
        }
        JournalCommand::Export { runs, since, out } => {
            export(&*state::open(directory)?, runs, *since, out.as_deref())
        }
        JournalCommand::Import { file } => import(directory, file),
        JournalCommand::Verify => verify(directory),
        JournalCommand::Compact => compact(directory),
    }
}

fn form(format: JournalFormat, colour: Colour) -> HistoryFormat {
    match format {
        JournalFormat::Text => HistoryFormat::Text {
            colour: is_coloured(colour, None),
        },
        JournalFormat::Json => HistoryFormat::Json,
    }
}

fn print(write: impl FnOnce(&mut dyn io::Write) -> Result<(), Failure>) -> Result<Exit, Failure> {
    let mut out = Output::stdout();
    write(&mut out)?;
    out.finish()?;
    Ok(Exit::Done)
}

/// What a daemon says of the journal, where it has the state directory in hand.
fn or_by_daemon(
    read: Result<Exit, Failure>,
    directory: &Path,
    path: &str,
    form: HistoryFormat,
) -> Result<Exit, Failure> {
    let failure = match read {
        Err(failure) if state::is_in_use(&failure) => failure,
        read => return read,
    };
    let query = match form {
        HistoryFormat::Json => "format=json".to_owned(),
        HistoryFormat::Text { colour } => format!("format=text&colour={colour}"),
    };
    super::block_on(async {
        let Some(daemon) = Client::of(directory).await else {
            return Err(failure);
        };
        let mut answer = daemon.get(&format!("{path}?{query}")).await?;
        let mut out = Output::stdout();
        while let Some(piece) = answer.piece().await? {
            out.write_all(&piece)?;
        }
        out.finish()?;
        Ok(Exit::Done)
    })
}

/// Writes the list of runs.
pub(crate) fn list(
    journal: &DiskJournal,
    format: HistoryFormat,
    out: &mut dyn io::Write,
) -> Result<(), Failure> {
    let runs = journal.list()?.into_iter();
    let runs: Vec<RunNote> = runs.map(|run| note(journal, run)).collect::<Result<_, _>>()?;
    Ok(write_runs(out, format, &runs)?)
}

fn note(journal: &DiskJournal, summary: RunSummary) -> Result<RunNote, StateError> {
    let undo = undo_on_record(journal, &summary)?;
    let RunSummary {
        run,
        begin,
        end,
        records,
        open,
    } = summary;
    Ok(RunNote {
        run,
        begin,
        end,
        records,
        open,
        undo,
        collected: None,
    })
}

/// What means the last run.
const LAST: &str = "last";

/// The run that was named, whether or not there is one; `None` for the last.
fn wanted(text: &str) -> Result<Option<RunId>, Failure> {
    if text == LAST {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        Failure::usage(format!("{text:?} is no run: {error}"))
            .with_hint("`lagan journal list` names the runs")
    })
}

/// The run that was named, where the last has to be one in the journal.
fn named(journal: &DiskJournal, text: &str) -> Result<RunId, Failure> {
    match wanted(text)? {
        Some(run) => Ok(run),
        None => journal
            .last_run()?
            .ok_or_else(|| Failure::usage("the journal has no runs: nothing was ever deleted")),
    }
}

/// Writes one run.
pub(crate) fn show(
    journal: &DiskJournal,
    run: &str,
    format: HistoryFormat,
    out: &mut dyn io::Write,
) -> Result<(), Failure> {
    let run = named(journal, run)?;
    let mut note = note(journal, journal.summary(run)?)?;
    if note.begin.as_ref().is_some_and(Begin::deletes) {
        let now = chrono::Utc::now();
        note.collected = Some(collecting::since(&journal.list()?, &[run].into(), None, now));
    }
    let mut restorations = journal.restorations_of(run)?;
    let mut writer = RunWriter::new(format);
    writer.head(out, &note)?;
    for record in journal.records(run)? {
        if let Some(deed) = deed(journal, record?, &mut restorations)? {
            writer.deed(out, deed)?;
        }
    }
    Ok(writer.foot(out)?)
}

/// An intent with what became of it; `None` for a record of another kind.
fn deed(
    journal: &DiskJournal,
    record: RunRecord,
    restorations: &mut BTreeMap<Sequence, Vec<Restoration>>,
) -> Result<Option<Deed>, StateError> {
    let sequence = record.sequence;
    let mut restored = || -> Vec<Restored> {
        let restorations = restorations.remove(&sequence).unwrap_or_default().into_iter();
        restorations
            .map(|Restoration { run, result }| Restored { run, result })
            .collect()
    };
    let what = match record.record {
        Record::Delete(intent) => What::Deletion {
            intent: Box::new(intent),
            outcome: outcome(record.settled),
            restored: restored(),
        },
        Record::Untag(intent) => What::Untagging {
            intent: Box::new(intent),
            outcome: outcome(record.settled),
            restored: restored(),
        },
        Record::Restore(intent) => What::Restoration {
            of: Some(journal.run_of(intent.deletion)?),
            intent: Box::new(intent),
            outcome: restoration(record.settled),
        },
        Record::Begin(_) | Record::Outcome(_) | Record::Doubt(_) | Record::Restored(_) | Record::End(_) => {
            return Ok(None);
        }
    };
    Ok(Some(Deed { sequence, what }))
}

fn outcome(settled: Option<Record>) -> Option<Outcome> {
    match settled {
        Some(Record::Outcome(outcome)) => Some(outcome),
        _ => None,
    }
}

fn restoration(settled: Option<Record>) -> Option<RestoreOutcome> {
    match settled {
        Some(Record::Restored(outcome)) => Some(outcome),
        _ => None,
    }
}

fn export(
    journal: &DiskJournal,
    runs: &[String],
    since: Option<Time>,
    out: Option<&Path>,
) -> Result<Exit, Failure> {
    let mut asked = runs
        .iter()
        .map(|run| named(journal, run))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(since) = since {
        let began = |summary: &RunSummary| summary.begin.as_ref().is_none_or(|begin| begin.at >= since);
        asked = journal
            .list()?
            .iter()
            .filter(|summary| began(summary))
            .map(|summary| summary.run)
            .collect();
        // Nothing asked for would be everything.
        if asked.is_empty() {
            return Err(Failure::usage("no run began since then; nothing was exported"));
        }
    }
    let mut output = Output::open(out)?;
    let exported = journal.export(&asked, &mut output)?;
    output.finish()?;
    tell(&format!(
        "exported {} of {} with {}",
        count(exported.records, "record", "records"),
        count(exported.runs.len() as u64, "run", "runs"),
        count(exported.contents, "manifest", "manifests"),
    ));
    Ok(Exit::Done)
}

fn import(directory: &Path, file: &Path) -> Result<Exit, Failure> {
    let reading = |error| {
        let context = format!("failed to read the export {}", file.display());
        Failure::new(Exit::Usage, anyhow::Error::new(error).context(context))
    };
    let input = if file == Path::new("-") {
        spooled(&mut io::stdin().lock())
    } else {
        File::open(file).and_then(|mut opened| {
            let metadata = opened.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            // An export is read twice, which a pipe cannot be.
            if metadata.is_file() {
                Ok(opened)
            } else {
                spooled(&mut opened)
            }
        })
    };
    let input = input.map_err(reading)?;
    let mut journal = DiskJournal::create(directory, &Options::default())?;
    state::print_notices(journal.notices());
    let imported = journal.import(BufReader::new(input))?;
    journal.close()?;
    let mut out = Output::stdout();
    writeln!(
        out,
        "imported {} into {}; {} there already",
        count(imported.records, "record", "records"),
        harmless(&directory.display().to_string()),
        count(imported.present, "was", "were"),
    )?;
    out.finish()?;
    Ok(Exit::Done)
}

fn spooled(input: &mut dyn io::Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn verify(directory: &Path) -> Result<Exit, Failure> {
    let found = lagan_state::verify(directory, &Options::default())?;
    state::print_notices(&found.notices);
    let mut out = Output::stdout();
    let what = format!(
        "{} and {}",
        count(found.records, "record", "records"),
        count(found.contents, "manifest", "manifests"),
    );
    if found.wrong == 0 {
        writeln!(out, "{what}: both copies are sound, and say the same")?;
    } else {
        writeln!(out, "{what}, and {}:", count(found.wrong, "problem", "problems"))?;
        for problem in &found.problems {
            writeln!(out, "  {}", harmless(&problem.to_string()))?;
        }
        let untold = found.wrong - found.problems.len() as u64;
        if untold > 0 {
            writeln!(out, "  and {} more", lagan_report::number::grouped(untold))?;
        }
        writeln!(
            out,
            "the next command that opens the journal compares all of it, and repairs what is sound in one copy"
        )?;
    }
    let audit = lagan_state::verify_audit(directory)?;
    if let Some(audit) = &audit {
        show_audit(&mut out, audit)?;
    }
    out.finish()?;
    let damaged = found.wrong > 0
        || found.notices.iter().any(Notice::is_damage)
        || audit.is_some_and(|audit| audit.wrong > 0);
    Ok(if damaged { Exit::Partial } else { Exit::Done })
}

fn show_audit(out: &mut Output, audit: &AuditCheck) -> io::Result<()> {
    let entries = count(audit.entries, "entry", "entries");
    let files = count(audit.files, "file", "files");
    let what = format!("audit log: {entries} in {files}");
    match audit.wrong {
        0 => writeln!(out, "{what}, in one chain")?,
        wrong => writeln!(out, "{what}, and {}:", count(wrong, "problem", "problems"))?,
    }
    for problem in &audit.problems {
        writeln!(out, "  {}", harmless(problem))?;
    }
    if audit.removed > 0 {
        let older = count(audit.removed, "older entry was", "older entries were");
        writeln!(out, "  {older} removed with their files")?;
    }
    if audit.unfinished > 0 {
        let pieces = count(audit.unfinished, "piece", "pieces");
        writeln!(
            out,
            "  {pieces} that somebody was interrupted in writing; nothing was done that rests on it"
        )?;
    }
    Ok(())
}

fn compact(directory: &Path) -> Result<Exit, Failure> {
    let done = lagan_state::compact(directory, &Options::default())?;
    state::print_notices(&done.notices);
    let mut out = Output::stdout();
    writeln!(
        out,
        "{} written anew and checked: {} before, {} now",
        count(done.records, "record", "records"),
        mebibytes(done.before),
        mebibytes(done.after),
    )?;
    out.finish()?;
    Ok(Exit::Done)
}

/// What is said beside data that goes to stdout.
fn tell(text: &str) {
    // Nobody is left to be told if this fails.
    _ = writeln!(io::stderr(), "{text}");
}
