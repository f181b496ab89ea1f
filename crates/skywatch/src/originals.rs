//! The binary under the names of the programs that it stands in for: `influxd`, a data node, and `influxd-meta`, with their
//! commands, options and places of configuration files, so that units, images and scripts stay as they are.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::{
    cli::{DataArgs, MetaArgs},
    config, data, meta,
};

/// What clients of InfluxDB parse.
const INFLUXDB_VERSION: &str = "1.8.10";

/// A program of the original's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Original {
    /// A data node.
    Influxd,
    /// A meta node.
    InfluxdMeta,
}

/// The options of both; one dash is as good as two.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
struct Line {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Name of this host, as every other node knows it
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Write the process's number into this file while it runs
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Accepted, and without effect
    #[arg(long, value_name = "FILE")]
    cpuprofile: Option<PathBuf>,
    /// Accepted, and without effect
    #[arg(long, value_name = "FILE")]
    memprofile: Option<PathBuf>,
    /// Make a cluster of one at the first start (influxd-meta)
    #[arg(long)]
    single_server: bool,
}

impl Original {
    /// Which one the program was called as.
    pub(crate) fn called(program: &OsStr) -> Option<Self> {
        match Path::new(program).file_name()?.to_str()? {
            "influxd" => Some(Self::Influxd),
            "influxd-meta" => Some(Self::InfluxdMeta),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Influxd => "influxd",
            Self::InfluxdMeta => "influxd-meta",
        }
    }

    /// The variable that names the configuration file.
    const fn file_variable(self) -> &'static str {
        match self {
            Self::Influxd => "INFLUXDB_CONFIG_PATH",
            Self::InfluxdMeta => "INFLUXDB_META_CONFIG_PATH",
        }
    }

    /// Where the file says in which directory things are stored.
    const fn section(self) -> &'static str {
        match self {
            Self::Influxd => "data",
            Self::InfluxdMeta => "meta",
        }
    }

    /// Without a file, or a variable that says where, things are stored in the user's own directory.
    fn own_dir(self, config: Option<&Path>) -> Option<PathBuf> {
        let variable = format!("INFLUXDB_{}_DIR", self.section().to_ascii_uppercase());
        if config.is_some() || std::env::var_os(variable).is_some() {
            return None;
        }
        home().map(|home| home.join(".influxdb").join(self.section()))
    }

    /// Runs what the arguments behind the program's name ask for.
    pub(crate) fn run(self, arguments: Vec<OsString>) -> Result<ExitCode> {
        let (command, rest) = split(arguments);
        match command.as_str() {
            "run" => self.serve(self.line("run", rest)?),
            "config" => self.print_config(self.line("config", rest)?),
            "version" => {
                say(&format!("InfluxDB v{INFLUXDB_VERSION} (git: skywatch {})", env!("CARGO_PKG_VERSION")))
            }
            "help" => say(&self.usage()),
            other => {
                let name = self.name();
                // As the original: without "error:", since scripts compare it.
                drop(writeln!(io::stderr(), "unknown command {other:?}\nRun '{name} help' for usage\n"));
                Ok(ExitCode::FAILURE)
            }
        }
    }

    fn line(self, command: &str, rest: Vec<OsString>) -> Result<Line> {
        let program = OsString::from(format!("{} {command}", self.name()));
        let line = Line::parse_from(std::iter::once(program).chain(rest.into_iter().map(two_dashes)));
        if line.single_server && self == Self::Influxd {
            bail!("flag provided but not defined: -single-server (of influxd-meta)");
        }
        Ok(line)
    }

    fn serve(self, line: Line) -> Result<ExitCode> {
        let config = self.file(line.config);
        let dir = self.own_dir(config.as_deref());
        match self {
            Self::Influxd => data::run(&DataArgs {
                data_dir: dir,
                config,
                hostname: line.hostname,
                pidfile: line.pidfile,
                ..DataArgs::default()
            }),
            Self::InfluxdMeta => meta::run(&MetaArgs {
                dir,
                config,
                hostname: line.hostname,
                single_server: line.single_server,
                pidfile: line.pidfile,
                ..MetaArgs::default()
            }),
        }
    }

    fn print_config(self, line: Line) -> Result<ExitCode> {
        let file = self.file(line.config);
        if let Some(file) = &file {
            drop(writeln!(io::stderr(), "Merging with configuration at: {}", file.display()));
        }
        let mut effective = match self {
            Self::Influxd => config::effective_data(file.as_deref())?,
            Self::InfluxdMeta => config::effective_meta(file.as_deref())?,
        };
        let section = self.section();
        if let Some(dir) = self.own_dir(file.as_deref())
            && let Some(section) = effective.get_mut(section).and_then(toml::Value::as_table_mut)
        {
            section.insert("dir".to_owned(), dir.display().to_string().into());
        }
        if let Some(hostname) = line.hostname {
            effective.insert("hostname".to_owned(), hostname.into());
        }
        say(&toml::to_string(&effective).context("cannot write the configuration as TOML")?)
    }

    /// The file on the command line, or that of the environment, or the first that is where they are looked for. The null
    /// device stands for none.
    fn file(self, given: Option<PathBuf>) -> Option<PathBuf> {
        let is_named = |path: &PathBuf| !path.as_os_str().is_empty();
        let named = given
            .filter(is_named)
            .or_else(|| std::env::var_os(self.file_variable()).map(PathBuf::from).filter(is_named));
        if let Some(path) = named {
            return (path != Path::new("/dev/null")).then_some(path);
        }
        let name = match self {
            Self::Influxd => "influxdb.conf",
            Self::InfluxdMeta => "influxdb-meta.conf",
        };
        let own = home().map(|home| home.join(".influxdb").join(name));
        own.into_iter().chain([Path::new("/etc/influxdb").join(name)]).find(|path| path.is_file())
    }

    fn usage(self) -> String {
        let (name, single_server) = match self {
            Self::Influxd => (self.name(), ""),
            Self::InfluxdMeta => {
                (self.name(), "  -single-server          make a cluster of one at the first start\n")
            }
        };
        format!(
            "Usage: {name} [[command] [arguments]]\n\n\
             The commands are:\n\n    \
             config               display the effective configuration\n    \
             help                 display this help message\n    \
             run                  run node with existing configuration\n    \
             version              displays the version\n\n\
             \"run\" is the default command.\n\n\
             Options of run and config:\n\n  \
             -config <path>          configuration file [default: ${}, ~/.influxdb or /etc/influxdb]\n  \
             -hostname <name>        name of this host for other nodes\n  \
             -pidfile <path>         write the process's number there while it runs\n\
             {single_server}\n\
             This is Skywatch under the name of {name}; `skywatch help` tells what else it does.",
            self.file_variable(),
        )
    }
}

/// The command, `run` if none is named, and what follows.
fn split(mut arguments: Vec<OsString>) -> (String, Vec<OsString>) {
    let first = arguments.first().map(|first| first.to_string_lossy().into_owned()).unwrap_or_default();
    match first.as_str() {
        "-h" | "-help" | "--help" => ("help".to_owned(), Vec::new()),
        "" => ("run".to_owned(), arguments),
        option if option.starts_with('-') => ("run".to_owned(), arguments),
        _ => {
            arguments.remove(0);
            (first, arguments)
        }
    }
}

/// `-config` is `--config`.
fn two_dashes(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => {
            format!("-{text}").into()
        }
        _ => argument,
    }
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| !home.as_os_str().is_empty())
}

fn say(text: &str) -> Result<ExitCode> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_name_tells_which_program_it_is() {
        let called = |name: &str| Original::called(OsStr::new(name));
        assert_eq!(called("/usr/bin/influxd"), Some(Original::Influxd));
        assert_eq!(called("influxd-meta"), Some(Original::InfluxdMeta));
        assert_eq!((called("skywatch"), called("influxd-ctl"), called("")), (None, None, None));
    }

    #[test]
    fn run_is_the_command_that_is_not_named() {
        let command = |text: &str| split(words(text)).0;
        assert_eq!(command(""), "run");
        assert_eq!(command("-config x"), "run");
        assert_eq!(command("config -config x"), "config");
        assert_eq!(command("--help"), "help");
        assert_eq!(split(words("run -pidfile p")).1, words("-pidfile p"));
    }

    #[test]
    fn one_dash_or_two() {
        for text in ["-config a -pidfile=b", "--config a --pidfile=b"] {
            let line = Original::Influxd.line("run", words(text)).unwrap();
            assert_eq!((line.config, line.pidfile), (Some("a".into()), Some("b".into())));
        }
        assert!(Original::InfluxdMeta.line("run", words("-single-server")).unwrap().single_server);
        assert!(Original::Influxd.line("run", words("-single-server")).is_err());
    }
}
