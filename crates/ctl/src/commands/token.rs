//! `token`: signs a token; asks nobody.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    CtlError, Streams,
    flags::Flags,
    options::{Auth, Options},
    token::sign,
};

/// How long a token is good for, unless `-exp` says otherwise.
const LIFE: Duration = Duration::from_secs(60);

pub(crate) fn run(flags: &Flags, options: &Options, streams: &mut Streams<'_>) -> Result<(), CtlError> {
    if let Some(extra) = flags.arguments.first() {
        return Err(CtlError::local(format!("unknown argument: {extra}")));
    }
    let Auth::Jwt { user, secret } = &options.auth else {
        return Err(CtlError::local("tokens can only be created when using bearer authentication"));
    };
    let life = flags.duration("exp", LIFE).map_err(|error| CtlError::Usage(error.to_string()))?;
    streams.print(&sign(secret, user, Timestamp::now().as_second(), life)?)
}
