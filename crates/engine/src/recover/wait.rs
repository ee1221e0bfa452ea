//! Waiting until nothing that an earlier run left open can happen any more.

use std::time::Duration;

use lagan_model::journal::{JournalError, JournalStore};
use lagan_model::{Clock, RegistryWrite, Time};

use super::{Recovery, recover};
use crate::chronicle::Chronicle;
use crate::world::World;

/// The same as [`recover`](recover()), as often as it takes until nothing is in doubt. Before each time, `tell` is told
/// until when. What the registry does not answer is not waited for.
///
/// # Errors
///
/// When the journal cannot be read or written.
pub async fn recover_and_wait<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    mut tell: impl FnMut(Time),
) -> Result<Recovery, JournalError> {
    loop {
        let url = &world.registry.identity().url;
        let mut chronicle = Chronicle::read(world.journal, url, world.clock.now()).await?;
        let recovery = recover(world, &mut chronicle).await?;
        let Some(until) = recovery.in_doubt.iter().filter_map(|doubt| doubt.until).max() else {
            return Ok(recovery);
        };
        tell(until);
        let left = (until - world.clock.now()).to_std().unwrap_or_default() + Duration::from_secs(1);
        world.clock.sleep(left).await;
    }
}
