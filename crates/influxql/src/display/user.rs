//! Users and privileges. Passwords are never written.

use std::fmt::{self, Display, Formatter};

use super::quote_ident;
use crate::ast::{CreateUser, DropUser, Grant, GrantAdmin, Privilege, Revoke, RevokeAdmin, SetPassword};

impl Display for CreateUser {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE USER {} WITH PASSWORD [REDACTED]", quote_ident(&self.name))?;
        if self.admin { f.write_str(" WITH ALL PRIVILEGES") } else { Ok(()) }
    }
}

impl Display for DropUser {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DROP USER {}", quote_ident(&self.name))
    }
}

impl Display for SetPassword {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SET PASSWORD FOR {} = [REDACTED]", quote_ident(&self.name))
    }
}

impl Display for Privilege {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::All => "ALL PRIVILEGES",
        })
    }
}

impl Display for Grant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "GRANT {} ON {} TO {}",
            self.privilege,
            quote_ident(&self.database),
            quote_ident(&self.user)
        )
    }
}

impl Display for GrantAdmin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "GRANT ALL PRIVILEGES TO {}", quote_ident(&self.user))
    }
}

impl Display for Revoke {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "REVOKE {} ON {} FROM {}",
            self.privilege,
            quote_ident(&self.database),
            quote_ident(&self.user)
        )
    }
}

impl Display for RevokeAdmin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "REVOKE ALL PRIVILEGES FROM {}", quote_ident(&self.user))
    }
}
