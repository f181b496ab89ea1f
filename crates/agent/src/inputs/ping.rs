//! `ping`: whether hosts answer to ICMP, and how fast, as the system's own `ping` measures it.
//!
//! Both of Telegraf's methods run that program, which has the right to send ICMP. They differ in what is read of it:
//! `exec` takes its summary, `native` each of its replies, of which it can tell percentiles.

mod text;

use std::process::Command;
use std::time::Duration;

use super::command;
use super::listener_options::bytes;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::parallel::{Asked, Parallel};
use text::Seen;

/// How long the program may take to start and to end, besides what it is told.
const GRACE: Duration = Duration::from_secs(5);

/// The input.
#[derive(Debug)]
struct Ping {
    options: Options,
    parallel: Parallel,
}

/// What `[[inputs.ping]]` sets.
#[derive(Debug, Clone)]
struct Options {
    urls: Vec<String>,
    native: bool,
    count: usize,
    /// Seconds, as the program takes them.
    interval: f64,
    /// Seconds for a reply; 0 leaves it to the program.
    timeout: f64,
    /// Seconds for all of it; 0 is no limit of the program's.
    deadline: usize,
    interface: String,
    percentiles: Vec<i64>,
    binary: String,
    /// Instead of all that is made of the other options.
    arguments: Vec<String>,
    ipv4: bool,
    ipv6: bool,
    size: usize,
}

pub(crate) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Ping { options: Options::from_section(section)?, parallel: Parallel::default() }))
}

impl Options {
    fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let native = match section.string("method")?.as_deref() {
            None | Some("" | "exec") => false,
            Some("native") => true,
            Some(other) => {
                return Err(section.bad("method", format!("{other:?} is neither \"exec\" nor \"native\"")));
            }
        };
        let urls = section.strings("urls")?.unwrap_or_default();
        // Such a name would be taken for an option.
        if let Some(url) = urls.iter().find(|url| url.starts_with('-') || url.is_empty()) {
            return Err(section.bad("urls", format!("{url:?} is no host")));
        }
        let percentiles = section.integers("percentiles")?.unwrap_or_default();
        if let Some(bad) = percentiles.iter().find(|percentile| !(0..=100).contains(*percentile)) {
            return Err(section.bad("percentiles", format!("{bad} is not between 0 and 100")));
        }
        section.without_effect("privileged", "the system's ping has the right that it needs");
        let mut seconds = |key| Ok::<_, ConfigError>(section.duration(key)?.map(|nanos| nanos as f64 / 1e9));
        // An interval below a fifth of a second is for the superuser.
        let interval = seconds("ping_interval")?.unwrap_or(1.0).max(0.2);
        let timeout = seconds("timeout")?.unwrap_or(0.0);
        // The program takes whole ones.
        let deadline = seconds("deadline")?.map_or(10, |seconds| seconds as usize);
        let binary = section.string("binary")?.filter(|text| !text.is_empty());
        let (ipv4, ipv6) =
            (section.boolean("ipv4")?.unwrap_or(false), section.boolean("ipv6")?.unwrap_or(false));
        if ipv4 && ipv6 {
            return Err(section.bad("ipv6", "ipv4 and ipv6 exclude each other"));
        }
        Ok(Self {
            urls,
            native,
            count: section.count("count")?.filter(|&count| count > 0).unwrap_or(1),
            interval,
            timeout,
            deadline,
            interface: section.string("interface")?.unwrap_or_default(),
            percentiles,
            binary: binary.unwrap_or_else(|| "ping".to_owned()),
            arguments: section.strings("arguments")?.unwrap_or_default(),
            ipv4,
            ipv6,
            size: bytes(section, "size")?.filter(|size| *size > 0).unwrap_or(56),
        })
    }

    fn arguments(&self, host: &str) -> Vec<String> {
        if !self.arguments.is_empty() {
            return self.arguments.iter().cloned().chain([host.to_owned()]).collect();
        }
        let size = if self.native { self.size } else { 16 };
        let mut arguments = vec!["-c".to_owned(), self.count.to_string(), "-n".to_owned()];
        let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
        add("-s", size.to_string());
        add("-i", self.interval.to_string());
        if self.timeout > 0.0 {
            add("-W", self.timeout.to_string());
        }
        if self.deadline > 0 {
            add("-w", self.deadline.to_string());
        }
        if !self.interface.is_empty() {
            add("-I", self.interface.clone());
        }
        arguments.extend(self.ipv4.then(|| "-4".to_owned()));
        arguments.extend(self.ipv6.then(|| "-6".to_owned()));
        arguments.push(host.to_owned());
        arguments
    }

    /// How long is waited for the program.
    fn patience(&self) -> Duration {
        let seconds = match self.deadline {
            0 => self.count as f64 * self.interval.max(self.timeout) + self.timeout,
            deadline => deadline as f64,
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(3600)) + GRACE
    }
}

impl Input for Ping {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let Self { options, parallel } = self;
        let now_ns = acc.now_ns();
        let patience = options.patience();
        let targets = options.urls.iter().map(|host| {
            let metric = Metric::new("ping", now_ns).tag("url", host);
            let (options, host) = (options.clone(), host.clone());
            let name = format!("ping {host}");
            let asked = async move {
                let run = tokio::task::spawn_blocking(move || run(&options, &host, metric, patience));
                run.await.unwrap_or_else(|error| Err(error.to_string()).into())
            };
            (name, asked)
        });
        // The program is killed in time, and this is for what is beyond that.
        parallel.ask(acc, patience + GRACE, targets)
    }
}

fn run(options: &Options, host: &str, metric: Metric, patience: Duration) -> Asked {
    let mut command = Command::new(&options.binary);
    command.args(options.arguments(host)).env("LC_ALL", "C");
    // Without a reply, or with fewer than asked for before its deadline, it ends with 1, which is a result.
    let seen = command::output_of(&mut command, patience, &[1])
        .and_then(|(text, code)| Ok((text::parse(&text)?, code)));
    match seen {
        Ok((seen, code)) => Ok(vec![finished(metric, options, &seen, code)]).into(),
        Err(reason) => {
            // A name that nobody knows is one of its failures as well.
            let unknown = options.native && is_unknown_host(&reason);
            let metric = metric.field("result_code", if unknown { 1_i64 } else { 2 });
            Asked { metrics: vec![metric], problem: Some(reason) }
        }
    }
}

fn is_unknown_host(reason: &str) -> bool {
    ["Name or service not known", "No address associated", "failure in name resolution", "unknown host"]
        .iter()
        .any(|words| reason.contains(words))
}

/// `code` is what the program ended with.
fn finished(mut metric: Metric, options: &Options, seen: &Seen, code: i32) -> Metric {
    let integer = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    metric.set_field("packets_transmitted", integer(seen.transmitted));
    metric.set_field("packets_received", integer(seen.received));
    let lost = seen.transmitted.saturating_sub(seen.received) as f64;
    metric.set_field(
        "percent_packet_loss",
        if seen.transmitted == 0 { 100.0 } else { lost / seen.transmitted as f64 * 100.0 },
    );
    if let Some(ttl) = seen.ttl {
        metric.set_field("ttl", ttl);
    }
    let times = if options.native { text::Times::of_replies(&seen.replies_ms) } else { seen.summary };
    if let Some(times) = times {
        metric.set_field("minimum_response_ms", times.minimum);
        metric.set_field("average_response_ms", times.average);
        metric.set_field("maximum_response_ms", times.maximum);
        if let Some(deviation) = times.deviation {
            metric.set_field("standard_deviation_ms", deviation);
        }
    }
    if options.native {
        for percentile in &options.percentiles {
            if let Some(ms) = text::percentile(&seen.replies_ms, *percentile) {
                metric.set_field(format!("percentile{percentile}_ms"), ms);
            }
        }
    }
    // As in the original, which has no program to ask for `native`.
    metric.set_field(
        "result_code",
        if options.native { i64::from(seen.received == 0) } else { i64::from(code) },
    );
    metric
}

#[cfg(test)]
mod tests;
