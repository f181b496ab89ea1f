//! One host's end of the network.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use skywatch_rpc::{Call, CallError, Reply, Transport};
use tokio::sync::oneshot;

use super::{Host, SimNetwork};

/// Places the calls of one host.
#[derive(Debug, Clone)]
pub struct SimTransport {
    network: SimNetwork,
    host: Host,
}

impl SimTransport {
    pub(crate) const fn new(network: SimNetwork, host: Host) -> Self {
        Self { network, host }
    }
}

#[async_trait]
impl Transport for SimTransport {
    async fn call(&self, to: &str, call: Call, within: Duration) -> Result<Reply, CallError> {
        let (sender, receiver) = oneshot::channel();
        self.network.post_request(self.host, to, &call, Arc::new(Mutex::new(Some(sender))));
        let answered = async {
            match receiver.await {
                Ok((at, result)) => {
                    self.network.time.sleep_until(at).await;
                    result
                }
                // Lost without a trace: only the caller's patience ends this.
                Err(_) => std::future::pending().await,
            }
        };
        match tokio::time::timeout(within, answered).await {
            Ok(result) => result,
            Err(_) => Err(CallError::TimedOut { to: to.to_owned(), within }),
        }
    }
}
