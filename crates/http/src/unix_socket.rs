//! The Unix socket beside the TCP port: making it, taking over what an ended process left, removing it at the end.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt, chown},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use crate::{ServeError, UnixSocketConfig};

/// A socket that is listened on. Its file is removed with it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    pub listener: UnixListener,
    path: PathBuf,
}

impl UnixSocket {
    /// Makes the socket, with its directory where that is missing.
    pub(crate) fn bind(config: &UnixSocketConfig) -> Result<Self, ServeError> {
        let path = &config.path;
        let failed = |source| ServeError::UnixSocket { path: path.clone(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        remove_stale(path)?;
        let socket = Self { listener: UnixListener::bind(path).map_err(failed)?, path: path.clone() };
        fs::set_permissions(path, fs::Permissions::from_mode(config.permissions)).map_err(failed)?;
        if let Some(group) = config.group {
            chown(path, None, Some(group)).map_err(failed)?;
        }
        Ok(socket)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "could not remove the Unix socket");
        }
    }
}

/// Removes a socket that nobody listens on any more. Anything else stays, and is an error.
fn remove_stale(path: &Path) -> Result<(), ServeError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ServeError::UnixSocket { path: path.to_owned(), source }),
    };
    if !found.file_type().is_socket() || UnixStream::connect(path).is_ok() {
        return Err(ServeError::UnixSocketInUse { path: path.to_owned() });
    }
    fs::remove_file(path).map_err(|source| ServeError::UnixSocket { path: path.to_owned(), source })
}
