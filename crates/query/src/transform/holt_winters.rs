//! Predictions: `holt_winters`, `holt_winters_with_fit`.
//!
//! The method of Holt (1957) and Winters (1960), damped and with seasons that multiply, as in R. J. Hyndman and
//! G. Athanasopoulos, Forecasting: principles and practice:
//!
//! ```text
//!   level   l(t) = a y(t) / s(t-m) + (1 - a) (l(t-1) + f b(t-1))
//!   trend   b(t) = b (l(t) - l(t-1)) + (1 - b) f b(t-1)
//!   season  s(t) = g y(t) / (l(t-1) + f b(t-1)) + (1 - g) s(t-m)
//!   then    y(t+1) = (l(t) + (f + f^1 + ... + f^t) b(t)) s
//! ```
//!
//! `a, b, g, f`, the first level, trend and seasons are found by minimising the squares of what the model misses, from
//! several first guesses. What is InfluxDB's own, since its numbers have to come out: the model is run on what it said
//! itself, not on the values; the ring of seasons is walked two at a time; and seasons that a run leaves behind are those
//! the next run begins with.

use skywatch_model::{Column, Values};

use super::{PointRun, Transform, nelder_mead};
use crate::{QueryError, exec::Usage, expr::scalar::as_float};

/// Weight of the first values in the first guess of level and trend.
const FIRST_WEIGHT: f64 = 0.5;
/// First guesses of each of the four weights.
const GUESSES: [f64; 2] = [0.3, 0.3 + 0.4];
/// Edges of the first simplex, and when values at its corners are as good as equal.
const EDGE: f64 = 1.0;
const TOLERANCE: f64 = 1e-4;

/// What a prediction takes on its way out, for the memory limit; and a number of bytes that no budget has.
const BYTES_PER_PREDICTION: usize = 32;
const BYTES_MAX: usize = usize::MAX / 4;

/// Where what stands in the parameters.
const WEIGHTS: usize = 4;
const LEVEL: usize = 4;
const TREND: usize = 5;
const SEASONS: usize = 6;

/// How a call is parametrised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forecast {
    /// Values to predict.
    pub(super) predictions: u64,
    /// Windows in a season; below two there are none.
    pub(super) season: u64,
    /// Length of a window in nanoseconds.
    pub(super) interval_ns: i64,
    /// Whether what the model says of the past is told too.
    pub(super) with_fit: bool,
}

/// Collects points until the last one.
#[derive(Debug)]
pub(super) struct HoltWinters {
    forecast: Forecast,
    times: Vec<i64>,
    values: Vec<f64>,
}

impl HoltWinters {
    pub(super) const fn new(forecast: Forecast) -> Self {
        Self { forecast, times: Vec::new(), values: Vec::new() }
    }

    /// The values at equal distances, from the first to the last; NaN where one is missing. `None` if there are too few.
    fn regular(&self) -> Option<Vec<f64>> {
        let (first, last) = (*self.times.first()?, *self.times.last()?);
        let position = |time: i64| (self.round(time) - self.round(first)) / self.forecast.interval_ns;
        let count = usize::try_from(position(last)).ok().filter(|count| *count > 0)? + 1;
        let mut values = vec![f64::NAN; count];
        let mut taken = None;
        for (time, value) in self.times.iter().zip(&self.values) {
            let position = usize::try_from(position(*time)).ok().filter(|position| *position < count)?;
            // Of several in one window the first counts.
            if taken.is_none_or(|taken| position > taken) {
                values[position] = *value;
                taken = Some(position);
            }
        }
        Some(values).filter(|values| values.len() >= self.seasons())
    }

    /// To the nearest multiple of the interval.
    fn round(&self, time: i64) -> i64 {
        let interval = self.forecast.interval_ns;
        let into = time.rem_euclid(interval);
        if into > interval / 2 { time + (interval - into) } else { time - into }
    }

    /// Windows in a season; 0 without seasons.
    fn seasons(&self) -> usize {
        usize::try_from(self.forecast.season).map_or(usize::MAX, |season| if season < 2 { 0 } else { season })
    }

    /// Fits the model and runs it.
    fn run(&self, values: &[f64], usage: &Usage<'_>) -> Result<Vec<f64>, QueryError> {
        let seasons = self.seasons();
        let predictions = usize::try_from(self.forecast.predictions).unwrap_or(usize::MAX);
        let bytes = nelder_mead::bytes(SEASONS + seasons)
            .saturating_add(predictions.saturating_mul(BYTES_PER_PREDICTION))
            .min(BYTES_MAX);
        let _held = usage.hold_while(bytes)?;
        let mut best: Option<nelder_mead::Corner> = None;
        let mut misses = |parameters: &mut [f64]| {
            usage.cancel.check()?;
            Ok(misses(parameters, values))
        };
        let mut start = first_guess(values, seasons);
        for guess in 0..1 << WEIGHTS {
            for weight in 0..WEIGHTS {
                // The last weight changes fastest.
                start[weight] = GUESSES[guess >> (WEIGHTS - 1 - weight) & 1];
            }
            let found = nelder_mead::minimize(&mut misses, &start, EDGE, TOLERANCE)?;
            if best.as_ref().is_none_or(|best| found.value < best.value) {
                best = Some(found);
            }
        }
        let mut model = best.map_or(start, |best| best.at);
        let mut said = Vec::with_capacity(values.len().saturating_add(predictions));
        run_model(&mut model, values[0], values.len() + predictions, &mut |value| said.push(value));
        Ok(said)
    }
}

impl Transform for HoltWinters {
    fn feed(&mut self, times: &[i64], column: &Column, _out: &mut PointRun) {
        for (row, time) in times.iter().enumerate() {
            if let Some(value) = column.get(row).as_ref().and_then(as_float) {
                self.times.push(*time);
                self.values.push(value);
            }
        }
    }

    fn finish(&mut self, usage: &Usage<'_>, out: &mut PointRun) -> Result<(), QueryError> {
        let enough = self.times.len() >= self.seasons().max(2);
        let (Some(values), true) = (self.regular(), enough) else { return Ok(()) };
        let said = self.run(&values, usage)?;
        let (from, skipped) = match (self.times.first(), self.times.last()) {
            (Some(first), _) if self.forecast.with_fit => (*first, 0),
            (_, Some(last)) => (last.saturating_add(self.forecast.interval_ns), values.len()),
            _ => return Ok(()),
        };
        let Values::Float(answers) = &mut out.column.values else { return Ok(()) };
        for (window, value) in said.iter().skip(skipped).enumerate() {
            let time = i64::try_from(window).ok().and_then(|window| {
                self.forecast.interval_ns.checked_mul(window).and_then(|past| from.checked_add(past))
            });
            if let Some(time) = time.filter(|_| !value.is_nan()) {
                out.times.push(time);
                answers.push(*value);
            }
        }
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.times.capacity() * size_of::<i64>() + self.values.capacity() * size_of::<f64>()
    }
}

/// Parameters of which the weights are still to be guessed.
fn first_guess(values: &[f64], seasons: usize) -> Vec<f64> {
    let mut parameters = vec![0.0; SEASONS + seasons];
    if seasons == 0 {
        parameters[LEVEL] = FIRST_WEIGHT * values[0];
        if !values[1].is_nan() {
            parameters[TREND] = FIRST_WEIGHT * (values[1] - values[0]);
        }
        return parameters;
    }
    let count = seasons as f64;
    let known = |value: &&f64| !value.is_nan();
    let level = values[..seasons].iter().filter(known).fold(0.0, |sum, value| sum + 1.0 / count * value);
    let changes = values.iter().zip(&values[seasons..]).take(seasons).map(|(value, next)| next - value);
    let weight = 1.0 / (count * count);
    parameters[LEVEL] = level;
    parameters[TREND] =
        changes.filter(|change| !change.is_nan()).fold(0.0, |sum, change| sum + weight * change);
    for (season, value) in parameters[SEASONS..].iter_mut().zip(values) {
        *season = if value.is_nan() { 0.0 } else { value / level };
    }
    parameters
}

/// The sum of squares of what the model misses; infinite where it says nothing of a value.
fn misses(parameters: &mut [f64], values: &[f64]) -> f64 {
    let mut sum = 0.0;
    let mut known = values.iter();
    run_model(parameters, values[0], values.len(), &mut |said| {
        let value = known.next().copied().unwrap_or(f64::NAN);
        if !value.is_nan() {
            let miss = if said.is_nan() { f64::INFINITY } else { said - value };
            sum += miss * miss;
        }
    });
    sum
}

/// Runs the model for `len` windows. Bounds the weights, and leaves the seasons it came to, in the parameters.
fn run_model(parameters: &mut [f64], first: f64, len: usize, say: &mut dyn FnMut(f64)) {
    parameters[..WEIGHTS].iter_mut().for_each(|weight| *weight = bounded(*weight));
    let (head, seasons) = parameters.split_at_mut(SEASONS);
    let [alpha, beta, gamma, phi] = [head[0], head[1], head[2], head[3]];
    let (mut level, mut trend) = (head[LEVEL], head[TREND]);
    let mut said = first;
    let mut damping = phi;
    say(said);
    for step in 1..len {
        let (position, ahead) = match seasons.len() {
            0 => (0, 0),
            count => (2 * (step - 1) % count, (2 * (step - 1) + step % count) % count),
        };
        let season = seasons.get(position).copied().unwrap_or(1.0);
        let season_ahead = seasons.get(ahead).copied().unwrap_or(1.0);
        let expected = level + phi * trend;
        let next_level = alpha * (said / season) + (1.0 - alpha) * expected;
        let next_trend = beta * (next_level - level) + (1.0 - beta) * phi * trend;
        if let Some(slot) = seasons.get_mut(position) {
            *slot = gamma * (said / expected) + (1.0 - gamma) * season;
        }
        (level, trend) = (next_level, next_trend);
        said = (level + damping * trend) * season_ahead;
        damping += power(phi, step);
        say(said);
    }
}

/// Between 0 and 1; what is no number stays.
const fn bounded(weight: f64) -> f64 {
    if weight > 1.0 {
        1.0
    } else if weight < 0.0 {
        0.0
    } else {
        weight
    }
}

/// By squaring, which rounds the same on every machine.
fn power(base: f64, exponent: usize) -> f64 {
    let (mut power, mut square, mut left) = (1.0, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            power *= square;
        }
        square *= square;
        left >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_kept_and_windows_count_once() {
        let forecast = Forecast { predictions: 1, season: 0, interval_ns: 10, with_fit: false };
        let model = HoltWinters { forecast, times: vec![10, 12, 40], values: vec![1.0, 2.0, 3.0] };
        let values = model.regular().expect("are enough");
        assert_eq!((values[0], values[3], values.len()), (1.0, 3.0, 4));
        assert!(values[1].is_nan() && values[2].is_nan());
        let alone = HoltWinters { forecast, times: vec![10, 12], values: vec![1.0, 2.0] };
        assert!(alone.regular().is_none());
    }

    #[test]
    fn a_steady_trend_is_followed() {
        let mut parameters = vec![0.5, 0.5, 0.5, 1.0, 0.0, 1.0];
        let mut said = Vec::new();
        run_model(&mut parameters, 1.0, 3, &mut |value| said.push(value));
        // l(1) = (1 + 1) / 2 = 1, b(1) = (1 + 1) / 2 = 1, y = 1 + 1; l(2) = (2 + 2) / 2, b(2) = 1, y = 2 + 2.
        assert_eq!(said, [1.0, 2.0, 4.0]);
    }
}
