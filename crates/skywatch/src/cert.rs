//! `skywatch cert`: an authority of one's own, and the certificates of a cloud's hosts.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use skywatch_deploy::{
    certificates::{CertificateError, Condition, Directory},
    cloud::{Cloud, Host},
    place,
};

pub(crate) const CERT_EXAMPLES: &str = "\
Keys and certificates (ECDSA P-256) are in the directory of the inventory that [certificates] names: ca.pem and ca.key, NAME.pem \
and NAME.key of every host. Keys are readable for their owner only. What is there is never overwritten, but by `renew`. \
`skywatch render` makes what is missing by itself.

Examples:
  skywatch cert --inventory cloud.toml                  make what is missing, show all
  skywatch cert authority --inventory cloud.toml        only the authority, if there is none
  skywatch cert issue data3 --inventory cloud.toml      of one host, if it has none that serves
  skywatch cert renew --inventory cloud.toml            those that end within 30 days
  skywatch cert renew data1 --inventory cloud.toml      one host's, in any case
  skywatch cert show --inventory cloud.toml             for how long; exit status 1 if one is over";

/// Options of `skywatch cert`.
#[derive(Debug, Args)]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    command: Option<CertCommand>,
    /// The inventory (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    inventory: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum CertCommand {
    /// Make an authority, unless there is one
    Authority,
    /// Make certificates of hosts that have none that serves [default: of all]
    Issue {
        /// Names of the inventory
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// Make certificates anew: of these hosts, or of all whose certificate ends soon
    Renew {
        /// Names of the inventory
        #[arg(value_name = "HOST")]
        hosts: Vec<String>,
        /// Those that end within so many days
        #[arg(long, value_name = "DAYS", default_value_t = skywatch_deploy::certificates::SOON_DAYS, conflicts_with = "hosts")]
        within: i64,
    },
    /// Show the certificates: whose, for which names, until when
    Show,
}

pub(crate) fn run(args: &CertArgs) -> Result<ExitCode> {
    let path =
        args.inventory.as_ref().context("--inventory FILE is missing: it says which hosts there are")?;
    let now = SystemTime::now();
    let (cloud, _) = place::read_inventory(path)?;
    let directory = Directory::of(&cloud, place::beside(path), now);
    match &args.command {
        None => {
            made(directory.make_authority()?)?;
            issue(&directory, &chosen(&cloud, &[])?, |condition| !condition.serves())?;
            show(&directory)
        }
        Some(CertCommand::Authority) => {
            let is_new = directory.make_authority()?;
            made(is_new)?;
            if !is_new {
                writeln!(io::stdout(), "there is an authority: it stays as it is")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(CertCommand::Issue { hosts }) => {
            made(directory.make_authority()?)?;
            issue(&directory, &chosen(&cloud, hosts)?, |condition| !condition.serves())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(CertCommand::Renew { hosts, within }) => {
            let named = !hosts.is_empty();
            let is_due =
                |condition: &Condition| named || condition.ends_within(*within, now) || !condition.serves();
            issue(&directory, &chosen(&cloud, hosts)?, is_due)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(CertCommand::Show) => show(&directory),
    }
}

fn made(is_new: bool) -> Result<()> {
    if is_new {
        writeln!(io::stdout(), "made an authority: ca.pem is for everybody, ca.key for nobody")?;
    }
    Ok(())
}

fn issue(directory: &Directory<'_>, hosts: &[&Host], is_due: impl Fn(&Condition) -> bool) -> Result<()> {
    let issued = directory.issue(hosts, is_due)?;
    let mut print = io::stdout();
    for name in &issued {
        writeln!(print, "made a certificate of {name}")?;
    }
    if issued.is_empty() {
        writeln!(print, "nothing to do: all {} serve", hosts.len())?;
    }
    Ok(())
}

/// The hosts of these names, or all.
fn chosen<'a>(cloud: &'a Cloud, names: &[String]) -> Result<Vec<&'a Host>> {
    if names.is_empty() {
        return Ok(cloud.hosts.iter().collect());
    }
    let find = |name: &String| cloud.host(name).ok_or_else(|| CertificateError::NoSuchHost(name.clone()));
    Ok(names.iter().map(find).collect::<Result<_, _>>()?)
}

fn show(directory: &Directory<'_>) -> Result<ExitCode> {
    let all = directory.show()?;
    let mut print = io::stdout();
    for shown in &all {
        writeln!(print, "{}: {}", shown.path.display(), shown.condition)?;
        if !shown.names.is_empty() {
            writeln!(print, "    for {}", shown.names.join(", "))?;
        }
    }
    let serve = all.iter().all(|shown| shown.condition.serves());
    Ok(if serve { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
