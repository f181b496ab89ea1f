//! Users and privileges.

use super::{Parser, Result};
use crate::{
    ast::{
        BinaryOp, CreateUser, DropUser, Grant, GrantAdmin, Privilege, Revoke, RevokeAdmin, SetPassword,
        Statement,
    },
    token::{Keyword, Kind, Token},
};

impl Parser<'_> {
    pub(super) fn create_user(&mut self) -> Result<Statement> {
        let name = self.ident()?;
        self.expect_keywords(&[Keyword::With, Keyword::Password])?;
        let password = self.string()?;
        let admin = self.take_keyword(Keyword::With);
        if admin {
            self.expect_keywords(&[Keyword::All, Keyword::Privileges])?;
        }
        Ok(Statement::CreateUser(CreateUser { name, password, admin }))
    }

    pub(super) fn drop_user(&mut self) -> Result<Statement> {
        Ok(Statement::DropUser(DropUser { name: self.ident()? }))
    }

    pub(super) fn set_password(&mut self) -> Result<Statement> {
        self.expect_keywords(&[Keyword::Password, Keyword::For])?;
        let name = self.ident()?;
        self.expect(Kind::Op(BinaryOp::Eq))?;
        Ok(Statement::SetPassword(SetPassword { name, password: self.string()? }))
    }

    pub(super) fn grant(&mut self) -> Result<Statement> {
        let privilege = self.privilege()?;
        Ok(match self.privilege_scope(privilege, Keyword::To)? {
            (Some(database), user) => Statement::Grant(Grant { privilege, database, user }),
            (None, user) => Statement::GrantAdmin(GrantAdmin { user }),
        })
    }

    pub(super) fn revoke(&mut self) -> Result<Statement> {
        let privilege = self.privilege()?;
        Ok(match self.privilege_scope(privilege, Keyword::From)? {
            (Some(database), user) => Statement::Revoke(Revoke { privilege, database, user }),
            (None, user) => Statement::RevokeAdmin(RevokeAdmin { user }),
        })
    }

    fn privilege(&mut self) -> Result<Privilege> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::Read) => Ok(Privilege::Read),
            Kind::Keyword(Keyword::Write) => Ok(Privilege::Write),
            Kind::Keyword(Keyword::All) => {
                self.take_keyword(Keyword::Privileges);
                Ok(Privilege::All)
            }
            _ => Err(self.unexpected(&token, &["READ", "WRITE", "ALL [PRIVILEGES]"])),
        }
    }

    /// `[ON database] TO|FROM user`; only `ALL` can do without a database.
    fn privilege_scope(
        &mut self,
        privilege: Privilege,
        preposition: Keyword,
    ) -> Result<(Option<String>, String)> {
        let token = self.scan();
        match token.kind {
            Kind::Keyword(Keyword::On) => {
                let database = self.ident()?;
                self.expect_keywords(&[preposition])?;
                Ok((Some(database), self.ident()?))
            }
            kind if kind == Kind::Keyword(preposition) && privilege == Privilege::All => {
                Ok((None, self.ident()?))
            }
            _ => Err(self.unexpected_scope(&token, privilege, preposition)),
        }
    }

    fn unexpected_scope(
        &self,
        token: &Token,
        privilege: Privilege,
        preposition: Keyword,
    ) -> crate::error::SyntaxError {
        match privilege {
            Privilege::All => self.unexpected(token, &["ON", preposition.name()]),
            Privilege::Read | Privilege::Write => self.unexpected(token, &["ON"]),
        }
    }
}
