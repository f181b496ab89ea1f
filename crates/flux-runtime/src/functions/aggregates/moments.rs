//! How far values lie from their mean, and to which side.

use super::{numbers::Numbers, one_value};
use crate::{Call, Error, Kind, Value};

/// What is known of values after some of them: sums of powers of their distances from the mean so far.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    cubes: f64,
}

impl Moments {
    fn of(numbers: &Numbers<'_>) -> Self {
        let mut moments = Self::default();
        numbers.each(|value| moments.add(value));
        moments
    }

    /// In one pass, without sums of large powers whose differences would be all that matters.
    fn add(&mut self, value: f64) {
        let before = self.count;
        self.count += 1.0;
        let distance = value - self.mean;
        let step = distance / self.count;
        let square = distance * step * before;
        self.mean += step;
        self.cubes += square * step * (self.count - 2.0) - 3.0 * step * self.squares;
        self.squares += square;
    }

    fn told(&self, value: f64) -> (Kind, Value) {
        (Kind::Float, if self.count == 0.0 { Value::Null } else { Value::Float(value) })
    }
}

/// Of a sample, unless the table is all that there is. Of a sample of one value it is NaN.
pub(super) fn stddev(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let freedom_lost = match &*call.string_or("mode", "sample")? {
        "sample" => 1.0,
        "population" => 0.0,
        other => {
            return Err(call.error(format!("mode is \"sample\" or \"population\", not \"{other}\"")));
        }
    };
    one_value(call, move |context, column| {
        let moments = Moments::of(&Numbers::of(context, column)?);
        Ok(moments.told((moments.squares / (moments.count - freedom_lost)).sqrt()))
    })
}

/// Of one value, or of equal ones, it is NaN.
pub(super) fn skew(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    one_value(call, |context, column| {
        let moments = Moments::of(&Numbers::of(context, column)?);
        Ok(moments.told(moments.count.sqrt() * moments.cubes / moments.squares.powf(1.5)))
    })
}
