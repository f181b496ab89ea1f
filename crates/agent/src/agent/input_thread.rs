//! The thread on which an input gathers. It may hang for as long as it likes: nobody joins it, and
//! a process ends without waiting for it.

use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::guard::guarded;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;

/// What one gather brought.
pub(super) type Gathered = (Vec<Metric>, Vec<GatherError>);

/// Collectors are shallow; libvirt's client needs the most.
const STACK_BYTES: usize = 512 * 1024;

struct Request {
    now_ns: i64,
    reply: oneshot::Sender<Gathered>,
}

/// A handle to the thread; dropping it lets the thread end after what it is doing.
#[derive(Debug)]
pub(super) struct InputThread {
    requests: mpsc::Sender<Request>,
}

impl InputThread {
    pub(super) fn start(name: &str, mut input: Box<dyn Input>) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<Request>();
        thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
            for request in inbox {
                let gathered = gather(input.as_mut(), request.now_ns);
                // The agent may have stopped waiting.
                request.reply.send(gathered).ok();
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts a gather. The receiver fails only if the thread is gone.
    pub(super) fn gather(&self, now_ns: i64) -> oneshot::Receiver<Gathered> {
        let (reply, receiver) = oneshot::channel();
        self.requests.send(Request { now_ns, reply }).ok();
        receiver
    }
}

fn gather(input: &mut dyn Input, now_ns: i64) -> Gathered {
    let mut acc = Accumulator::new(now_ns);
    let result = guarded(|| input.gather(&mut acc));
    let (metrics, mut errors) = acc.into_parts();
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => errors.push(error),
        Err(panic) => errors.push(GatherError::Panicked(panic)),
    }
    (metrics, errors)
}
