//! The options every command takes, and which command a line names.

use std::time::Duration;

use crate::{
    CtlError, Environment,
    address::{META_HTTP_PORT, with_port},
    flags::{Flag, FlagError, Flags},
};

/// How long an answer may take, unless `-timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where a meta node is looked for.
const BIND: &str = "localhost:8091";

/// As `influxd-ctl` has them, and `-timeout` and `-ca`.
pub(crate) const GLOBAL: [Flag; 10] = [
    Flag::valued("auth-type", "type", "Type of authentication: none, basic or jwt (default none)"),
    Flag::valued(
        "bind",
        "host:port",
        "HTTP address of a meta node; given several times or with commas, they are tried in turn (default localhost:8091)",
    ),
    Flag::switch("bind-tls", "Use TLS"),
    Flag::valued("ca", "file", "Certificates (PEM) to trust besides the well-known ones"),
    Flag::valued("config", "file", "Accepted for the sake of scripts; nothing is read from it"),
    Flag::switch("k", "Take any certificate (with -bind-tls)"),
    Flag::valued(
        "pwd",
        "password",
        "Password for -auth-type basic; others can see it, prefer SKYWATCH_PASSWORD",
    ),
    Flag::valued(
        "secret",
        "secret",
        "Shared secret for -auth-type jwt; others can see it, prefer SKYWATCH_SHARED_SECRET",
    ),
    Flag::valued("timeout", "duration", "Longest to wait for an answer (default 10s)"),
    Flag::valued("user", "name", "User for -auth-type basic or jwt"),
];

/// How requests are let in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// They say nothing.
    None,
    /// User and password.
    Basic { user: String, password: String },
    /// A token signed with the shared secret.
    Jwt { user: String, secret: String },
}

/// What the options say.
#[derive(Clone)]
pub(crate) struct Options {
    /// Addresses of meta nodes, at least one.
    pub(crate) binds: Vec<String>,
    pub(crate) tls: bool,
    pub(crate) insecure: bool,
    pub(crate) ca: Option<String>,
    pub(crate) auth: Auth,
    pub(crate) timeout: Duration,
}

impl Options {
    /// Of the flags given anywhere on the line.
    pub(crate) fn of(flags: &Flags, environment: &Environment) -> Result<Self, CtlError> {
        let text = |name: &str| flags.text(name).unwrap_or_default().to_owned();
        let or = |name: &str, otherwise: &Option<String>| match flags.text(name) {
            Some(value) => value.to_owned(),
            None => otherwise.clone().unwrap_or_default(),
        };
        let auth = match flags.text("auth-type").unwrap_or("none").to_ascii_lowercase().as_str() {
            "none" | "" => Auth::None,
            "basic" => Auth::Basic { user: text("user"), password: or("pwd", &environment.password) },
            "jwt" => Auth::Jwt { user: text("user"), secret: or("secret", &environment.shared_secret) },
            _ => {
                return Err(CtlError::Option(format!("invalid -auth-type: {}", text("auth-type"))));
            }
        };
        let mut binds: Vec<String> = flags
            .texts("bind")
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|address| !address.is_empty())
            .map(|address| with_port(address, META_HTTP_PORT))
            .collect();
        if binds.is_empty() {
            binds.push(BIND.to_owned());
        }
        let timeout =
            flags.duration("timeout", TIMEOUT).map_err(|error| CtlError::Usage(error.to_string()))?;
        if timeout.is_zero() {
            return Err(CtlError::local("-timeout has to be longer than 0: nothing waits for ever"));
        }
        Ok(Self {
            binds,
            tls: flags.is_set("bind-tls"),
            insecure: flags.is_set("k"),
            ca: flags.text("ca").map(str::to_owned),
            auth,
            timeout,
        })
    }
}

/// The command of a line: its first argument that is no global option, nor the value of one.
pub fn command_name(arguments: &[String]) -> Option<&str> {
    match Flags::parse_leading(arguments, &GLOBAL) {
        Ok((_, rest)) => rest.first().map(String::as_str),
        Err(
            FlagError::Help
            | FlagError::Unknown(_)
            | FlagError::NoValue(_)
            | FlagError::NoBoolean { .. }
            | FlagError::BadValue { .. }
            | FlagError::Syntax(_),
        ) => None,
    }
}

/// Takes the options of [`GLOBAL`] out of the line of a command that is read by somebody else: all that stand before the
/// command, and of those behind it the ones that only `ctl` has. Gives those options, and the command with the rest,
/// whose long options have two dashes.
pub fn split_global(arguments: &[String]) -> (Vec<String>, Vec<String>) {
    /// Which whoever reads the rest has too, with a meaning of its own.
    const SHARED: [&str; 3] = ["ca", "timeout", "user"];
    let (before, rest) = match Flags::parse_leading(arguments, &GLOBAL) {
        Ok((_, rest)) => arguments.split_at(arguments.len() - rest.len()),
        Err(_) => (&[] as &[String], arguments),
    };
    let (mut global, mut others) = (before.to_vec(), Vec::new());
    let mut rest = rest.iter();
    while let Some(text) = rest.next() {
        if text == "--" {
            others.push(text.clone());
            others.extend(rest.cloned());
            break;
        }
        let bare = text.strip_prefix('-').map(|name| name.strip_prefix('-').unwrap_or(name));
        let name = bare.map(|bare| bare.split('=').next().unwrap_or_default()).unwrap_or_default();
        match GLOBAL.iter().find(|flag| flag.name == name && !SHARED.contains(&name)) {
            Some(flag) => {
                global.push(text.clone());
                if !flag.value.is_empty() && !text.contains('=') {
                    global.extend(rest.next().cloned());
                }
            }
            None if name.len() > 1 => others.push(format!("--{}", bare.unwrap_or_default())),
            None => others.push(text.clone()),
        }
    }
    (global, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str, environment: &Environment) -> Result<Options, CtlError> {
        let texts: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Options::of(&Flags::parse(&texts, &GLOBAL).unwrap(), environment)
    }

    #[test]
    fn addresses_in_turn() {
        let nobody = Environment::default();
        assert_eq!(options("", &nobody).unwrap().binds, ["localhost:8091"]);
        let several = options("-bind m1,m2:9 --bind http://m3:8091", &nobody).unwrap();
        assert_eq!(several.binds, ["m1:8091", "m2:9", "m3:8091"]);
    }

    #[test]
    fn secrets_may_come_from_the_environment() {
        let environment = Environment { shared_secret: Some("s".to_owned()), ..Environment::default() };
        let jwt = |secret: &str| Auth::Jwt { user: "u".to_owned(), secret: secret.to_owned() };
        assert!(options("-auth-type jwt -user u", &environment).unwrap().auth == jwt("s"));
        assert!(options("-auth-type jwt -user u -secret t", &environment).unwrap().auth == jwt("t"));
        assert!(options("-auth-type JWT -user u", &environment).unwrap().auth == jwt("s"));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        let nobody = Environment::default();
        let told = |text| options(text, &nobody).map(|_| ()).unwrap_err().to_string();
        assert_eq!(told("-auth-type LDAP"), "invalid -auth-type: LDAP");
        assert!(told("-timeout soon").contains("invalid value \"soon\" for flag -timeout"));
        assert!(told("-timeout 0s").contains("longer than 0"));
    }

    #[test]
    fn the_command_is_found_behind_options() {
        let name = |text: &str| {
            let texts: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            command_name(&texts).map(str::to_owned)
        };
        assert_eq!(name("-bind backup -k show -v"), Some("show".to_owned()));
        assert_eq!(name("-x show"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn a_command_read_elsewhere_keeps_its_own_options() {
        let split = |text: &str| {
            let texts: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            let (global, others) = split_global(&texts);
            (global.join(" "), others.join(" "))
        };
        let expected = |global: &str, others: &str| (global.to_owned(), others.to_owned());
        assert_eq!(
            split("-bind m1 -user u backup -db a --keep=2 -bind-tls dir"),
            expected("-bind m1 -user u -bind-tls", "backup --db a --keep=2 dir")
        );
        assert_eq!(split("restore --bind m1 --user u dir"), expected("--bind m1", "restore --user u dir"));
        assert_eq!(split("backup -h -- -k"), expected("", "backup -h -- -k"));
        assert_eq!(split("backup --url http://a dir"), expected("", "backup --url http://a dir"));
    }
}
