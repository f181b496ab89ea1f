//! Several requests under way at a time, without ever changing the order of two writes to the same series.
//!
//! A point goes to the lane its series hashes to; a lane has one batch that fills and one that is under way. When both
//! are full, whoever brings points waits: memory is bounded by lanes times two batches.

use std::ops::Range;

use skywatch_client::Client;
use skywatch_model::line::ParseOptions;
use tokio::task::JoinHandle;

use super::sender::{Sender, Sent};

/// Points of one request, and their bytes: well below what servers take (25 MB unless told otherwise).
const BATCH_LINES: usize = 5_000;
const BATCH_BYTES: usize = 4 << 20;

/// Points on their way to one retention policy.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) database: String,
    pub(super) policy: String,
    pub(super) body: Vec<u8>,
    /// Number of each point's first line, and where the point is in `body`.
    pub(super) points: Vec<(u64, Range<usize>)>,
}

/// What has become of points since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) points: u64,
    pub(super) bad_lines: u64,
    pub(super) refused: u64,
    pub(super) complaints: Vec<String>,
    /// The first line not written, and why.
    pub(super) stopped: Option<(u64, String)>,
}

/// See the module's header.
pub(super) struct Lanes {
    sender: Sender,
    lanes: Vec<Lane>,
    report: Report,
}

#[derive(Default)]
struct Lane {
    filling: Batch,
    /// With the first line of what is under way.
    under_way: Option<(u64, JoinHandle<Sent>)>,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.points.len() >= BATCH_LINES || self.body.len() >= BATCH_BYTES
    }

    pub(super) fn push(&mut self, line: u64, text: &[u8]) {
        let start = self.body.len();
        self.body.extend_from_slice(text);
        if !text.ends_with(b"\n") {
            self.body.push(b'\n');
        }
        self.points.push((line, start..self.body.len()));
    }

    fn first_line(&self) -> Option<u64> {
        self.points.first().map(|(line, _)| *line)
    }
}

impl Lanes {
    pub(super) fn new(client: Client, lanes: usize, options: ParseOptions, precision: &str) -> Self {
        let lanes = (0..lanes.max(1)).map(|_| Lane::default()).collect();
        Self { sender: Sender::new(client, options, precision), lanes, report: Report::default() }
    }

    /// Takes a point; waits while its lane is full.
    pub(super) async fn push(&mut self, (database, policy): (&str, &str), line: u64, text: &[u8]) {
        let index = lane_of(text, self.lanes.len());
        let batch = &mut self.lanes[index].filling;
        if batch.points.is_empty() {
            database.clone_into(&mut batch.database);
            policy.clone_into(&mut batch.policy);
        }
        batch.push(line, text);
        if batch.is_full() {
            self.send(index).await;
        }
    }

    /// Puts everything under way.
    pub(super) async fn flush(&mut self) {
        for index in 0..self.lanes.len() {
            self.send(index).await;
        }
    }

    /// Puts everything under way and waits until it has arrived.
    pub(super) async fn drain(&mut self) {
        self.flush().await;
        for index in 0..self.lanes.len() {
            self.wait(index).await;
        }
    }

    /// Nothing more is sent; `line` is the first that was not given to the lanes.
    pub(super) fn stop(&mut self, line: u64, reason: &str) {
        self.stopped_at(line, reason.to_owned());
    }

    /// Whether nothing more is sent. Why is in the report once all lanes have come to rest.
    pub(super) fn is_stopped(&self) -> bool {
        self.report.stopped.is_some()
    }

    pub(super) fn take_report(&mut self) -> Report {
        let report = std::mem::take(&mut self.report);
        if report.stopped.is_some() {
            self.report.stopped.clone_from(&report.stopped);
        }
        // A stop is only told when all lanes have come to rest: until then an earlier line may turn out not written.
        let is_at_rest =
            self.lanes.iter().all(|lane| lane.under_way.is_none() && lane.filling.points.is_empty());
        Report { stopped: report.stopped.filter(|_| is_at_rest), ..report }
    }

    async fn send(&mut self, index: usize) {
        self.wait(index).await;
        let batch = std::mem::take(&mut self.lanes[index].filling);
        let Some(first) = batch.first_line() else { return };
        if let Some((_, reason)) = self.report.stopped.clone() {
            // An earlier line of another lane is not written; this one is not either.
            self.stopped_at(first, reason);
            return;
        }
        let sender = self.sender.clone();
        self.lanes[index].under_way = Some((first, tokio::spawn(async move { sender.send(batch).await })));
    }

    async fn wait(&mut self, index: usize) {
        let Some((first, under_way)) = self.lanes[index].under_way.take() else { return };
        match under_way.await {
            Ok(sent) => {
                self.report.points += sent.points;
                self.report.bad_lines += sent.bad_lines;
                self.report.refused += sent.refused;
                self.report.complaints.extend(sent.complaints);
                if let Some((line, reason)) = sent.stopped {
                    self.stopped_at(line, reason);
                }
            }
            Err(error) => self.stopped_at(first, format!("a request was not finished: {error}")),
        }
    }

    fn stopped_at(&mut self, line: u64, reason: String) {
        let earliest = match self.report.stopped.take() {
            Some((earlier, reason)) if earlier <= line => (earlier, reason),
            _ => (line, reason),
        };
        self.report.stopped = Some(earliest);
    }
}

/// By measurement and tags, in whatever order the tags are written.
fn lane_of(text: &[u8], lanes: usize) -> usize {
    let mut is_escaped = false;
    let key_end = text.iter().position(|&byte| {
        let ends = byte == b' ' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    let key = &text[..key_end.unwrap_or(text.len())];
    let sum = key.split(|&byte| byte == b',').map(fnv).fold(0_u64, u64::wrapping_add);
    (sum % lanes as u64) as usize
}

fn fnv(part: &[u8]) -> u64 {
    part.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stays_in_its_lane() {
        for lanes in [1, 2, 7] {
            let lane = lane_of(b"cpu,host=a,r=x v=1 1", lanes);
            assert!(lane < lanes);
            assert_eq!(lane_of(b"cpu,r=x,host=a v=2,w=\"a b\" 2", lanes), lane);
            assert_eq!(lane_of(b"c\\ p,h=a\\ b v=1", lanes), lane_of(b"c\\ p,h=a\\ b w=2", lanes));
        }
        let lanes: std::collections::HashSet<usize> =
            (0..100).map(|host| lane_of(format!("cpu,host=h{host} v=1").as_bytes(), 4)).collect();
        assert_eq!(lanes.len(), 4);
    }
}
