//! The commands, a file each or a few that belong together, and what they share.

pub(crate) mod copy_shard;
pub(crate) mod entropy;
pub(crate) mod join;
pub(crate) mod labels;
pub(crate) mod lag;
pub(crate) mod leave;
pub(crate) mod nodes;
pub(crate) mod remove_meta;
pub(crate) mod shards;
pub(crate) mod show;
pub(crate) mod show_shards;
pub(crate) mod token;

use crate::{
    CtlError, Environment, Streams,
    client::{Call, Client},
    flags::Flags,
    records::{Cluster, Shard},
};

/// What a command works with.
pub(crate) struct Context<'a, 's> {
    pub(crate) client: Client,
    pub(crate) flags: Flags,
    pub(crate) environment: Environment,
    pub(crate) streams: &'a mut Streams<'s>,
}

impl Context<'_, '_> {
    /// The arguments, each of which has a name and must be there; more of them are refused.
    fn arguments<const N: usize>(&self, missing: [&str; N]) -> Result<[String; N], CtlError> {
        let given = &self.flags.arguments;
        if let Some(extra) = given.get(N) {
            return Err(CtlError::local(format!("unknown argument: {extra}")));
        }
        let mut taken = Vec::with_capacity(N);
        for (place, missing) in missing.into_iter().enumerate() {
            match given.get(place).map(|argument| argument.trim()).filter(|argument| !argument.is_empty()) {
                Some(argument) => taken.push(argument.to_owned()),
                None => return Err(CtlError::local(missing)),
            }
        }
        taken.try_into().map_err(|_| CtlError::local("arguments are missing"))
    }

    /// For commands without arguments.
    fn no_arguments(&self) -> Result<(), CtlError> {
        match self.flags.arguments.is_empty() {
            true => Ok(()),
            // As Go prints a list.
            false => Err(CtlError::local(format!(
                "unexpected extra arguments: [{}]",
                self.flags.arguments.join(" ")
            ))),
        }
    }

    async fn cluster(&self) -> Result<Cluster, CtlError> {
        self.client.meta(&Call::get("/show-cluster", &[])).await?.json()
    }

    async fn shards(&self, parameters: &[(&str, &str)]) -> Result<Vec<Shard>, CtlError> {
        let shards: Option<Vec<Shard>> =
            self.client.meta(&Call::get("/show-shards", parameters)).await?.json()?;
        Ok(shards.unwrap_or_default())
    }
}

/// The number of a shard, in the words of the reference.
fn shard_id(text: &str) -> Result<u64, CtlError> {
    match text.parse::<i64>() {
        Ok(id) if id > 0 => Ok(id.unsigned_abs()),
        Ok(_) => Err(CtlError::local("shardID must be greater than 0")),
        Err(_) => Err(CtlError::local(format!("error converting shardID to int: {text}"))),
    }
}
