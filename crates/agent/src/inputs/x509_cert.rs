//! `x509_cert`: certificates of servers and files: how long they last, and whether they are trusted.
//!
//! ```text
//!   sources, in parallel --> certificates ([`source`]) --> names, times, keys ([`describe`]) --> metrics
//!                                                     \--> chains to trusted roots ([`trust`])
//! ```

mod describe;
mod source;
mod trust;

use std::time::Duration;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::net::parallel::{Asked, Parallel};
use crate::net::tls::ClientTls;
use source::{Presented, Source};
use trust::Roots;

/// Beyond the time of one source, for files and for what the system does.
const EXTRA: Duration = Duration::from_secs(1);

/// The input.
#[derive(Debug)]
struct X509Cert {
    sources: Vec<Source>,
    options: Options,
    tls: ClientTls,
    parallel: Parallel,
}

/// What `[[inputs.x509_cert]]` sets, besides the sources.
#[derive(Debug)]
struct Options {
    timeout: Duration,
    /// The name to ask for and to verify instead of the host's.
    server_name: Option<String>,
    exclude_roots: bool,
    /// Serial numbers have 16 digits at least.
    pad_serial: bool,
}

pub(super) fn build(section: &mut Section, _: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let texts = section.strings("sources")?.unwrap_or_default();
    if texts.is_empty() {
        return Err(section.bad("sources", "say whose certificates are looked at"));
    }
    let sources = texts
        .iter()
        .map(|text| Source::parse(text).map_err(|why| section.bad("sources", why)))
        .collect::<Result<_, _>>()?;
    if section.string("password")?.is_some_and(|password| !password.is_empty()) {
        return Err(section.bad("password", "PKCS #12 and Java key stores are not supported; use PEM files"));
    }
    if section.boolean("use_proxy")?.unwrap_or(false) {
        return Err(section.bad("use_proxy", "proxies are not supported"));
    }
    section.without_effect("proxy_url", "proxies are not supported");
    let timeout = section.duration("timeout")?.filter(|nanos| *nanos > 0).unwrap_or(5_000_000_000);
    let server_name = section.string("server_name")?.filter(|name| !name.is_empty());
    let tls = ClientTls::from_section(section)?;
    Ok(Box::new(X509Cert {
        sources,
        options: Options {
            timeout: Duration::from_nanos(timeout.unsigned_abs()),
            server_name: server_name.or(tls.server_name.clone()),
            exclude_roots: section.boolean("exclude_root_certs")?.unwrap_or(false),
            pad_serial: section.boolean("pad_serial_with_zeroes")?.unwrap_or(false),
        },
        tls,
        parallel: Parallel::default(),
    }))
}

impl Input for X509Cert {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let (options, now_ns) = (&self.options, acc.now_ns());
        // Read every time: authorities are renewed as well.
        let roots = Roots::load(self.tls.ca.as_deref())
            .map_err(|reason| GatherError::Service { service: "x509_cert".to_owned(), reason })?;
        let (roots, tls) = (&roots, &self.tls);
        let targets = self.sources.iter().flat_map(Source::expanded).map(|(name, source)| {
            let shown = name.clone();
            (name, async move {
                match source.certificates(tls, options.server_name.as_deref(), options.timeout).await {
                    Ok(presented) => metrics(&presented, &shown, options, roots, now_ns).into(),
                    Err(problem) => Asked { metrics: Vec::new(), problem: Some(problem) },
                }
            })
        });
        self.parallel.ask(acc, options.timeout + EXTRA, targets)
    }
}

/// A metric for every certificate.
fn metrics(
    presented: &Presented,
    source: &str,
    options: &Options,
    roots: &Roots,
    now_ns: i64,
) -> Result<Vec<Metric>, String> {
    let chain = presented.certificates.iter().map(|der| trust::parse(der)).collect::<Result<Vec<_>, _>>()?;
    let now_s = now_ns.div_euclid(1_000_000_000);
    let mut metrics = Vec::with_capacity(chain.len());
    for (at, certificate) in chain.iter().enumerate() {
        let kind = describe::kind(certificate);
        if options.exclude_roots && kind == describe::Kind::Root {
            continue;
        }
        let mut metric = Metric::new("x509_cert", now_ns);
        metric.set_tag("source", source);
        metric.set_tag("type", kind.name());
        describe::add(&mut metric, certificate, options.pad_serial, now_s);
        // The name is the first certificate's affair only.
        let name = presented.name.as_deref().or(options.server_name.as_deref()).filter(|_| at == 0);
        match trust::verify(certificate, &chain, roots, name, now_s) {
            Ok(()) => {
                metric.set_tag("verification", "valid");
                metric.set_field("verification_code", 0_i64);
            }
            Err(why) => {
                metric.set_tag("verification", "invalid");
                metric.set_field("verification_code", 1_i64);
                metric.set_field("verification_error", why);
            }
        }
        if let (0, Some(stapled)) = (at, presented.ocsp_stapled) {
            metric.set_tag("ocsp_stapled", if stapled { "yes" } else { "no" });
        }
        metrics.push(metric);
    }
    Ok(metrics)
}

#[cfg(test)]
mod tests;
