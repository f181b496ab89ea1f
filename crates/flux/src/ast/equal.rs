//! Equality of trees: they are equal if they say the same, wherever it stands.

use super::{Assignment, Call, Expression, Import, Parameter, Property, Statement};

impl PartialEq for Import {
    fn eq(&self, other: &Self) -> bool {
        self.alias == other.alias && self.path == other.path
    }
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Assign(one), Self::Assign(two)) => one == two,
            (
                Self::Option { package: one_package, assignment: one },
                Self::Option { package: two_package, assignment: two },
            ) => one_package == two_package && one == two,
            (Self::Expression(one), Self::Expression(two)) | (Self::Return(one), Self::Return(two)) => {
                one == two
            }
            (Self::Foreign { word: one, .. }, Self::Foreign { word: two, .. }) => one == two,
            (
                Self::Assign(_)
                | Self::Option { .. }
                | Self::Expression(_)
                | Self::Return(_)
                | Self::Foreign { .. },
                _,
            ) => false,
        }
    }
}

impl PartialEq for Assignment {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for Property {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl PartialEq for Parameter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.default == other.default && self.is_piped == other.is_piped
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.callee == other.callee && self.arguments == other.arguments
    }
}
