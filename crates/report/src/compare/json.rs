//! `lagan.compare/v1`.

use std::io::{self, Write};

use lagan_model::Time;
use serde::Serialize;

use super::RepositoryChange;
use super::words::{Compared, policies};
use crate::json::{member, write};

#[derive(Serialize)]
struct Plan<'a> {
    id: &'a str,
    created: Time,
    now: Time,
    registry: &'a lagan_model::RegistryIdentity,
}

pub(super) fn head(out: &mut dyn Write, compared: &Compared<'_>) -> io::Result<()> {
    let (old, new) = (compared.old, compared.new);
    let older = Plan {
        id: &old.id,
        created: old.created,
        now: old.now,
        registry: &old.registry,
    };
    let newer = Plan {
        id: &new.id,
        created: new.created,
        now: new.now,
        registry: &new.registry,
    };
    member(out, '{', "schema", "lagan.compare/v1")?;
    member(out, ',', "older", &older)?;
    member(out, ',', "newer", &newer)?;
    member(out, ',', "policies", &policies(compared))?;
    out.write_all(b",\"repositories\":[")
}

pub(super) fn change(out: &mut dyn Write, change: &RepositoryChange, first: bool) -> io::Result<()> {
    out.write_all(if first { b"\n" } else { b",\n" })?;
    write(out, change)
}

pub(super) fn foot(out: &mut dyn Write, compared: &Compared<'_>) -> io::Result<()> {
    out.write_all(b"\n]")?;
    member(out, ',', "changes", &compared.changes)?;
    member(out, ',', "totals_before", compared.old_totals)?;
    member(out, ',', "totals", compared.new_totals)?;
    out.write_all(b"}\n")
}
