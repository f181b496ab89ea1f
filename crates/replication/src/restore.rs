//! Copies that went with removed nodes are made again on others: one node at a time plans that, whoever holds the lease.

use std::{sync::Arc, time::Duration};

use skywatch_meta::repair_plan;

use crate::{LeaseHolder, Member};

/// Names the lease.
const LEASE: &str = "restore-copies";
/// How often it is looked whether copies are missing.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Owners that are being filled at any time, in the whole cluster.
const AT_ONCE: usize = 4;

/// Names new owners, which then fill themselves ([`Entropy`](crate::Entropy)), until the future is dropped.
pub async fn restore_copies(member: Arc<Member>) {
    let catalogues = Arc::clone(member.catalogues());
    let lease = LeaseHolder::new(LEASE, member.id(), Arc::clone(&catalogues));
    let planning = async {
        loop {
            if lease.is_held() {
                for command in repair_plan(&catalogues.current(), &[], AT_ONCE) {
                    match catalogues.execute(&command).await {
                        Ok(_) => tracing::info!(?command, "a copy that was lost is made again"),
                        Err(error) => {
                            tracing::warn!(?command, %error, "a copy that was lost cannot be made again yet");
                            break;
                        }
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::join!(lease.keep(), planning);
}
