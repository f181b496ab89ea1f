//! When a number counts.

/// A test of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evaluator {
    /// Greater.
    Above(f64),
    /// Smaller.
    Below(f64),
    /// Greater or equal.
    AtLeast(f64),
    /// Smaller or equal.
    AtMost(f64),
    /// Equal.
    Equal(f64),
    /// Not equal.
    NotEqual(f64),
    /// Between two bounds; `true` counts the bounds as inside.
    Inside(f64, f64, bool),
    /// Not between two bounds; `true` counts the bounds as outside.
    Outside(f64, f64, bool),
}

impl Evaluator {
    /// Names that Grafana's files use.
    pub const GRAFANA_NAMES: &[&str] = &[
        "gt",
        "lt",
        "gte",
        "lte",
        "eq",
        "ne",
        "within_range",
        "outside_range",
        "within_range_included",
        "outside_range_included",
    ];

    /// Builds a test from Grafana's name and parameters.
    pub fn from_grafana(name: &str, params: &[f64]) -> Result<Self, String> {
        let one = || match params {
            [value, ..] => Ok(*value),
            [] => Err(format!("{name} needs one number in params")),
        };
        // Grafana accepts the bounds in either order.
        let two = || match params {
            [a, b, ..] => Ok((a.min(*b), a.max(*b))),
            _ => Err(format!("{name} needs two numbers in params")),
        };
        Ok(match name {
            "gt" => Self::Above(one()?),
            "lt" => Self::Below(one()?),
            "gte" | "ge" => Self::AtLeast(one()?),
            "lte" | "le" => Self::AtMost(one()?),
            "eq" => Self::Equal(one()?),
            "ne" => Self::NotEqual(one()?),
            "within_range" => two().map(|(low, high)| Self::Inside(low, high, false))?,
            "outside_range" => two().map(|(low, high)| Self::Outside(low, high, false))?,
            "within_range_included" => two().map(|(low, high)| Self::Inside(low, high, true))?,
            "outside_range_included" => two().map(|(low, high)| Self::Outside(low, high, true))?,
            other => {
                return Err(format!(
                    "{other:?} is no evaluator; allowed are {}",
                    Self::GRAFANA_NAMES.join(", ")
                ));
            }
        })
    }

    /// Whether the number passes. NaN passes only `NotEqual`.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Above(bound) => value > bound,
            Self::Below(bound) => value < bound,
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Equal(bound) => value == bound,
            Self::NotEqual(bound) => value != bound,
            Self::Inside(low, high, true) => value >= low && value <= high,
            Self::Inside(low, high, false) => value > low && value < high,
            Self::Outside(low, high, true) => value <= low || value >= high,
            Self::Outside(low, high, false) => value < low || value > high,
        }
    }

    /// In words, with numbers written by `write`.
    pub fn to_text(self, write: &dyn Fn(f64) -> String) -> String {
        match self {
            Self::Above(bound) => format!("above {}", write(bound)),
            Self::Below(bound) => format!("below {}", write(bound)),
            Self::AtLeast(bound) => format!("at least {}", write(bound)),
            Self::AtMost(bound) => format!("at most {}", write(bound)),
            Self::Equal(bound) => format!("equal to {}", write(bound)),
            Self::NotEqual(bound) => format!("other than {}", write(bound)),
            Self::Inside(low, high, _) => format!("between {} and {}", write(low), write(high)),
            Self::Outside(low, high, _) => format!("outside {} to {}", write(low), write(high)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_evaluator_at_its_bounds() {
        for (name, params, passing, failing) in [
            ("gt", &[5.0][..], vec![5.1], vec![5.0, 4.0]),
            ("lt", &[5.0], vec![4.9], vec![5.0, 6.0]),
            ("gte", &[5.0], vec![5.0], vec![4.9]),
            ("lte", &[5.0], vec![5.0], vec![5.1]),
            ("eq", &[5.0], vec![5.0], vec![5.1]),
            ("ne", &[5.0], vec![5.1], vec![5.0]),
            ("within_range", &[1.0, 3.0], vec![2.0], vec![1.0, 3.0, 4.0]),
            ("outside_range", &[3.0, 1.0], vec![0.0, 4.0], vec![1.0, 2.0, 3.0]),
            ("within_range_included", &[1.0, 3.0], vec![1.0, 3.0], vec![0.9, 3.1]),
            ("outside_range_included", &[1.0, 3.0], vec![1.0, 3.0, 4.0], vec![2.0]),
        ] {
            let evaluator = Evaluator::from_grafana(name, params).unwrap();
            for value in passing {
                assert!(evaluator.holds(value), "{name} {value}");
            }
            for value in failing {
                assert!(!evaluator.holds(value), "{name} {value}");
            }
        }
        assert!(!Evaluator::Above(1.0).holds(f64::NAN));
        assert!(Evaluator::from_grafana("gt", &[]).is_err());
        assert!(Evaluator::from_grafana("within_range", &[1.0]).is_err());
        assert!(Evaluator::from_grafana("above", &[1.0]).unwrap_err().contains("outside_range"));
    }
}
