//! Says what others on the network can do, where that may not be meant.

use std::net::SocketAddr;

use crate::config::RunSettings;

/// Warns of what listens beyond this machine without asking for a password, or where one can be overheard.
pub(crate) fn warn(settings: &RunSettings, api: SocketAddr, console: Option<SocketAddr>) {
    let http = &settings.http;
    for warning in warnings(http.auth.is_some(), http.tls.is_some(), api, console) {
        tracing::warn!("{warning}");
    }
}

fn warnings(asks: bool, encrypts: bool, api: SocketAddr, console: Option<SocketAddr>) -> Vec<String> {
    let is_beyond = |address: &SocketAddr| !address.ip().is_loopback();
    let mut warnings = Vec::new();
    if is_beyond(&api) && !asks {
        warnings.push(format!(
            "the HTTP API listens on {api}, beyond this machine, and asks nobody for a password: whoever reaches it may \
             read, change and delete everything. Set auth-enabled in [http], or bind it to 127.0.0.1"
        ));
    }
    if is_beyond(&api) && asks && !encrypts {
        warnings.push(format!(
            "the HTTP API listens on {api}, beyond this machine, without encryption: passwords can be overheard. Set \
             https-enabled in [http], or put a proxy with a certificate in front"
        ));
    }
    if let Some(console) = console.filter(is_beyond).filter(|_| !asks) {
        warnings.push(format!(
            "the console listens on {console}, beyond this machine, and asks nobody for a password: whoever reaches it may \
             query everything. Set auth-enabled in [http], or bind it to 127.0.0.1"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_reach_unasked_is_warned_of() {
        let (here, everywhere) = ("127.0.0.1:8086".parse().unwrap(), "0.0.0.0:8086".parse().unwrap());
        let console = Some("[::]:3000".parse().unwrap());
        assert_eq!(warnings(false, false, here, None).len(), 0);
        assert_eq!(warnings(true, true, everywhere, None).len(), 0);
        assert_eq!(warnings(true, false, everywhere, None).len(), 1);
        assert_eq!(warnings(false, false, here, console).len(), 1);
        let both = warnings(false, false, everywhere, console);
        assert!(both[0].contains("0.0.0.0:8086") && both[1].contains("[::]:3000"), "{both:?}");
    }
}
