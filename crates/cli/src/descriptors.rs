//! File descriptors: every connection takes one, and so does every file that is open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Raises the limit as far as the system lets it be raised; of so many connections, how many it leaves room for.
pub(crate) fn for_connections(wanted: u32) -> usize {
    let needed = u64::from(wanted) + FILES;
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(u64::MAX);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let mut reached = soft;
    if soft < needed {
        let raised = needed.min(hard);
        let limit = Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        };
        match setrlimit(Resource::Nofile, limit) {
            Ok(()) => {
                info!(
                    from = soft,
                    to = raised,
                    "raised the limit of file descriptors"
                );
                reached = raised;
            }
            Err(error) => warn!(%error, "the limit of file descriptors stays at {soft}"),
        }
    }
    let connections = fitting(wanted, reached);
    if connections < wanted {
        warn!(
            connections,
            wanted, "fewer connections at one time: the limit of file descriptors is {reached}"
        );
    }
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// How many connections fit into so many descriptors; never none.
fn fitting(wanted: u32, descriptors: u64) -> u32 {
    let room = descriptors.saturating_sub(FILES).max(LEAST);
    u32::try_from(room).map_or(wanted, |room| wanted.min(room))
}

/// Kept for files: one for each of Tokio's 512 blocking threads, and those that are always open.
const FILES: u64 = 576;
/// Connections that are tried though descriptors are few.
const LEAST: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        assert_eq!(fitting(4096, 1024), 448);
        assert_eq!(fitting(4096, 4672), 4096);
        assert_eq!(fitting(4096, u64::MAX), 4096);
        assert_eq!(fitting(4096, 256), 16);
        assert_eq!(fitting(1, 256), 1);
    }
}
