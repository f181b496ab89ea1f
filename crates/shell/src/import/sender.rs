//! One batch, until it is stored: bad lines are taken out, a busy server is waited for, and what a server refuses is
//! narrowed down to the lines it refuses.

use std::{ops::Range, time::Duration};

use skywatch_client::{Client, ClientError, Response, StatusCode, error_text};
use skywatch_model::line::{ParseOptions, PointBatch, parse};
use tokio::time::sleep;

use super::lanes::Batch;

/// How often a server that is busy is asked again.
const BUSY_TRIES: u32 = 120;
/// How often one that is not there, or fails, is.
const FAILED_TRIES: u32 = 8;
/// The first pause, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often a batch is halved to find the lines that are refused; then what is left is told of as a whole.
const HALVINGS_MAX: u32 = 256;

/// See the module's header.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    client: Client,
    options: ParseOptions,
    precision: String,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) points: u64,
    pub(super) bad_lines: u64,
    pub(super) refused: u64,
    pub(super) complaints: Vec<String>,
    /// The first line not written, and why.
    pub(super) stopped: Option<(u64, String)>,
}

/// What the server did with a request.
enum Answer {
    Stored,
    /// Some points, or all, were not stored.
    Refused(String),
    TooLarge(String),
}

impl Sender {
    pub(super) fn new(client: Client, options: ParseOptions, precision: &str) -> Self {
        Self { client, options, precision: precision.to_owned() }
    }

    pub(super) async fn send(&self, batch: Batch) -> Sent {
        let mut sent = Sent::default();
        let batch = self.without_bad_lines(batch, &mut sent);
        let mut halvings = 0;
        // The next range to send is the last of these.
        let mut ranges = Vec::from([Range { start: 0, end: batch.points.len() }]);
        while let Some(range) = ranges.pop() {
            let (Some((first, start)), Some((last, end))) =
                (batch.points.get(range.start), batch.points[..range.end].last())
            else {
                continue;
            };
            let answer = match self.write(&batch, start.start..end.end).await {
                Ok(answer) => answer,
                Err(reason) => {
                    sent.stopped = Some((*first, reason));
                    return sent;
                }
            };
            let count = range.len() as u64;
            let (reason, refused) = match answer {
                Answer::Stored => {
                    sent.points += count;
                    continue;
                }
                Answer::Refused(reason) => {
                    let dropped = dropped_points(&reason);
                    (reason, dropped)
                }
                Answer::TooLarge(reason) => (reason, None),
            };
            if count > 1 && halvings < HALVINGS_MAX && refused != Some(count) {
                halvings += 1;
                let middle = range.start + range.len() / 2;
                ranges.push(middle..range.end);
                ranges.push(range.start..middle);
                continue;
            }
            let refused = refused.filter(|_| count > 1).unwrap_or(count).min(count);
            sent.refused += refused;
            sent.points += count - refused;
            let lines =
                if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
            sent.complaints.push(format!("{lines}: {reason}"));
        }
        sent
    }

    /// Names lines that are no points and takes them out.
    fn without_bad_lines(&self, batch: Batch, sent: &mut Sent) -> Batch {
        if parse(&batch.body, self.options, &mut PointBatch::new()).is_empty() {
            return batch;
        }
        let mut good = Batch { database: batch.database, policy: batch.policy, ..Batch::default() };
        for (line, range) in batch.points {
            let text = &batch.body[range];
            match parse(text, self.options, &mut PointBatch::new()).first() {
                None => good.push(line, text),
                Some(error) => {
                    sent.bad_lines += 1;
                    sent.complaints.push(format!("line {line}: {error}"));
                }
            }
        }
        good
    }

    /// Writes a part of a batch, as often as it takes; the error says why it is no use.
    async fn write(&self, batch: &Batch, bytes: Range<usize>) -> Result<Answer, String> {
        let body = batch.body[bytes].to_vec();
        let (mut busy, mut failed, mut pause) = (0, 0, PAUSE_MIN);
        loop {
            let mut parameters = vec![("db", batch.database.as_str()), ("precision", &self.precision)];
            parameters.extend(Some(("rp", batch.policy.as_str())).filter(|(_, policy)| !policy.is_empty()));
            let request = self.client.post("write").query(&parameters).body(body.clone());
            let problem = match self.client.send(request).await {
                Ok(response) if response.status().is_success() => return Ok(Answer::Stored),
                Ok(response) => {
                    let status = response.status();
                    let wait = retry_after(&response);
                    let text = self.client.read_bounded(response).await.unwrap_or_default();
                    let text = error_text(&text).unwrap_or_else(|| text.trim().to_owned());
                    match status {
                        StatusCode::BAD_REQUEST => return Ok(Answer::Refused(text)),
                        StatusCode::PAYLOAD_TOO_LARGE => return Ok(Answer::TooLarge(text)),
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                            busy += 1;
                            if busy >= BUSY_TRIES {
                                return Err(format!("the server stays too busy: {text}"));
                            }
                            pause = wait.unwrap_or(pause);
                            None
                        }
                        status if status.is_server_error() => {
                            Some(format!("the server answers {status}: {text}"))
                        }
                        status => return Err(format!("the server answers {status}: {text}")),
                    }
                }
                Err(error @ (ClientError::Certificates { .. } | ClientError::Options(_))) => {
                    return Err(error.to_string());
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                failed += 1;
                if failed >= FAILED_TRIES {
                    return Err(problem);
                }
            }
            sleep(pause.min(PAUSE_MAX)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// As seconds; servers do not send dates.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get("Retry-After")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The number in `partial write: ... dropped=3`.
fn dropped_points(text: &str) -> Option<u64> {
    let (_, after) = text.rsplit_once("dropped=")?;
    let digits = after.split(|ch: char| !ch.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_points_are_counted() {
        assert_eq!(dropped_points("partial write: points beyond retention policy dropped=17"), Some(17));
        assert_eq!(dropped_points("partial write: dropped=3 more"), Some(3));
        assert_eq!(dropped_points("unable to parse"), None);
    }
}
