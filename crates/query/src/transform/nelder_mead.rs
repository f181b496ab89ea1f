//! Minimises a function of several variables: J. A. Nelder and R. Mead, A simplex method for function minimization,
//! The Computer Journal 7 (1965).
//!
//! ```text
//!   the worst corner is reflected at the centre of the others
//!     better than the best       -> twice as far, if that is better still
//!     between best and next worst -> taken
//!     else                       -> half as far, outside or inside; where neither helps, all draw near to the best
//! ```
//!
//! As in the program that InfluxDB's numbers come from, values of corners that have drawn near are looked at again only
//! at the worst two.

use crate::QueryError;

/// Steps after which the best corner is taken as it is.
const STEPS_MAX: usize = 1000;
/// How far a reflection, an expansion and a contraction go.
const REFLECTION: f64 = 1.0;
const EXPANSION: f64 = 2.0;
const CONTRACTION: f64 = 0.5;

/// A function to minimise. It may move the point it is asked about, which is then taken as the point.
pub(super) type Objective<'a> = dyn FnMut(&mut [f64]) -> Result<f64, QueryError> + 'a;

/// A point and its value.
#[derive(Debug, Clone)]
pub(super) struct Corner {
    pub(super) at: Vec<f64>,
    pub(super) value: f64,
}

impl Corner {
    fn new(mut at: Vec<f64>, objective: &mut Objective<'_>) -> Result<Self, QueryError> {
        let value = objective(&mut at)?;
        Ok(Self { at, value })
    }
}

/// Bytes that minimising over that many variables takes.
pub(super) const fn bytes(variables: usize) -> usize {
    (variables + 5).saturating_mul(variables).saturating_mul(size_of::<f64>())
}

/// The best point found from `start` on, with a simplex of edges of that length, until the values at the corners
/// deviate by less than `tolerance`.
pub(super) fn minimize(
    objective: &mut Objective<'_>,
    start: &[f64],
    edge: f64,
    tolerance: f64,
) -> Result<Corner, QueryError> {
    let mut simplex = Simplex { corners: regular(objective, start, edge)? };
    for _ in 0..STEPS_MAX {
        simplex.step(objective)?;
        if simplex.deviation() < tolerance {
            break;
        }
    }
    let best = simplex.best();
    let mut best = simplex.corners.swap_remove(best);
    // What the function makes of its own point may differ from what led there; the point stays.
    let mut moved = best.at.clone();
    best.value = objective(&mut moved)?;
    Ok(best)
}

/// The corners of a regular simplex, one of which is `start`.
fn regular(objective: &mut Objective<'_>, start: &[f64], edge: f64) -> Result<Vec<Corner>, QueryError> {
    let n = start.len() as f64;
    let root = (n + 1.0).sqrt();
    let along = edge * (root - 1.0 + n) / (n * std::f64::consts::SQRT_2);
    let aside = edge * (root - 1.0) / (n * std::f64::consts::SQRT_2);
    let mut corners = vec![Corner::new(start.to_vec(), objective)?];
    for axis in 0..start.len() {
        let shift = |(index, value): (usize, &f64)| if index == axis { along } else { aside } + value;
        corners.push(Corner::new(start.iter().enumerate().map(shift).collect(), objective)?);
    }
    Ok(corners)
}

struct Simplex {
    corners: Vec<Corner>,
}

impl Simplex {
    fn best(&self) -> usize {
        self.extreme(|value, best| value < best)
    }

    /// The first corner that no other precedes.
    fn extreme(&self, precedes: impl Fn(f64, f64) -> bool) -> usize {
        let mut extreme = 0;
        for (index, corner) in self.corners.iter().enumerate() {
            if precedes(corner.value, self.corners[extreme].value) {
                extreme = index;
            }
        }
        extreme
    }

    /// The worst corner but one: the greatest value below that of `worst`.
    fn next_worst(&self, best: usize, worst: usize) -> usize {
        let mut next = best;
        for (index, corner) in self.corners.iter().enumerate() {
            if corner.value > self.corners[next].value && corner.value < self.corners[worst].value {
                next = index;
            }
        }
        next
    }

    /// The centre of all corners but one.
    fn centre_without(&self, excluded: usize) -> Vec<f64> {
        let count = self.corners.len() - 1;
        let others = || self.corners.iter().enumerate().filter(|(index, _)| *index != excluded);
        let mean = |axis: usize| others().fold(0.0, |sum, (_, corner)| sum + corner.at[axis]) / count as f64;
        (0..count).map(mean).collect()
    }

    fn step(&mut self, objective: &mut Objective<'_>) -> Result<(), QueryError> {
        let best = self.best();
        let worst = self.extreme(|value, worst| value > worst);
        let next_worst = self.next_worst(best, worst);
        let (best_value, worst_value) = (self.corners[best].value, self.corners[worst].value);
        let centre = self.centre_without(worst);
        let from_worst = &self.corners[worst].at;
        let reflected = Corner::new(along(&centre, REFLECTION, &centre, from_worst), objective)?;
        if reflected.value < best_value {
            let expanded = Corner::new(along(&centre, EXPANSION, &reflected.at, &centre), objective)?;
            self.corners[worst] = if expanded.value < reflected.value { expanded } else { reflected };
        } else if reflected.value < self.corners[next_worst].value {
            self.corners[worst] = reflected;
        } else {
            let contracted = if reflected.value < worst_value {
                along(&centre, CONTRACTION, &reflected.at, &centre)
            } else {
                along(&centre, -CONTRACTION, &centre, from_worst)
            };
            let contracted = Corner::new(contracted, objective)?;
            if contracted.value < worst_value {
                self.corners[worst] = contracted;
            } else {
                self.draw_near(best);
                for corner in [worst, next_worst] {
                    let corner = &mut self.corners[corner];
                    corner.value = objective(&mut corner.at)?;
                }
            }
        }
        Ok(())
    }

    /// Halves the distance of every corner to one of them.
    fn draw_near(&mut self, to: usize) {
        let target = self.corners[to].at.clone();
        for (index, corner) in self.corners.iter_mut().enumerate() {
            if index != to {
                corner.at = along(&target, 0.5, &corner.at, &target);
            }
        }
    }

    /// Standard deviation of the values at the corners, of a sample.
    fn deviation(&self) -> f64 {
        let values = || self.corners.iter().map(|corner| corner.value);
        let count = self.corners.len() as f64;
        let mean = values().fold(0.0, |sum, value| sum + value) / count;
        let square = |value: f64| (value - mean) * (value - mean) / (count - 1.0);
        values().fold(0.0, |sum, value| sum + square(value)).sqrt()
    }
}

/// `origin + factor (to - from)`.
fn along(origin: &[f64], factor: f64, to: &[f64], from: &[f64]) -> Vec<f64> {
    origin.iter().zip(to.iter().zip(from)).map(|(origin, (to, from))| origin + factor * (to - from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_bottom_of_the_banana_valley() {
        // H. H. Rosenbrock's function: 0 at (1, 1), at the end of a long, bent valley.
        let mut asked = 0;
        let mut rosenbrock = |at: &mut [f64]| {
            asked += 1;
            Ok(100.0 * (at[1] - at[0] * at[0]).powi(2) + (1.0 - at[0]).powi(2))
        };
        let found = minimize(&mut rosenbrock, &[-1.2, 1.0], 1.0, 1e-10).expect("does not fail");
        assert!(found.at.iter().all(|at| (at - 1.0).abs() < 1e-3), "{found:?}");
        assert!(found.value < 1e-8 && asked < 400, "{found:?} after {asked}");
    }

    #[test]
    fn a_function_that_fails_ends_it() {
        let mut fails = |_: &mut [f64]| Err(QueryError::invalid("no"));
        assert!(minimize(&mut fails, &[1.0], 1.0, 1e-3).is_err());
    }
}
