//! What one link does to a message: decided on values alone.

use std::time::Duration;

use crate::random::Random;

/// What links do to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The shortest a message travels. The world's steps are no longer.
    pub delay_min: Duration,
    /// The longest most messages travel.
    pub delay_max: Duration,
    /// Of a thousand messages, so many are lost.
    pub loss: u64,
    /// Of a thousand messages, so many arrive twice.
    pub doubled: u64,
    /// Of a thousand messages, so many travel up to `stray_max`.
    pub stray: u64,
    /// See [`Self::stray`].
    pub stray_max: Duration,
}

impl Default for Weather {
    fn default() -> Self {
        Self::calm(Duration::from_millis(1))
    }
}

impl Weather {
    /// Nothing is lost, and little is late.
    pub const fn calm(delay_min: Duration) -> Self {
        Self {
            delay_min,
            delay_max: delay_min.saturating_mul(4),
            loss: 0,
            doubled: 0,
            stray: 0,
            stray_max: Duration::from_secs(1),
        }
    }

    /// This weather, with the worse of the two in each respect.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            delay_min: self.delay_min,
            delay_max: self.delay_max.max(other.delay_max),
            loss: self.loss.max(other.loss),
            doubled: self.doubled.max(other.doubled),
            stray: self.stray.max(other.stray),
            stray_max: self.stray_max.max(other.stray_max),
        }
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes nowhere, and the sender learns that.
    Refused { after: Duration },
    /// It goes nowhere; the sender may learn that its connection broke.
    Swallowed { breaks_after: Option<Duration> },
    /// It arrives, perhaps more than once.
    Arrives { after: Vec<Duration> },
}

/// Draws what becomes of a message that enters a link, at whose other end there may be nobody.
pub(super) fn fate(random: &mut Random, weather: Weather, nobody: bool) -> Fate {
    let after = delay(random, weather);
    if nobody {
        let refused = random.per_mille(500);
        return if refused { Fate::Refused { after } } else { Fate::Swallowed { breaks_after: None } };
    }
    if random.per_mille(weather.loss) {
        return match random.between(0, 3) {
            0 => Fate::Refused { after },
            1 => Fate::Swallowed { breaks_after: Some(after) },
            _ => Fate::Swallowed { breaks_after: None },
        };
    }
    let mut arrivals = vec![after];
    if random.per_mille(weather.doubled) {
        arrivals.push(delay(random, weather));
    }
    Fate::Arrives { after: arrivals }
}

fn delay(random: &mut Random, weather: Weather) -> Duration {
    let longest = if random.per_mille(weather.stray) { weather.stray_max } else { weather.delay_max };
    Duration::from_micros(random.between(weather.delay_min.as_micros() as u64, longest.as_micros() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream;

    #[test]
    fn calm_weather_loses_nothing_and_keeps_its_delays() {
        let mut random = stream(1, "test");
        let weather = Weather::calm(Duration::from_millis(2));
        for _ in 0..1000 {
            let fate = fate(&mut random, weather, false);
            let Fate::Arrives { after } = fate else { panic!("{fate:?}") };
            assert_eq!(after.len(), 1);
            assert!(weather.delay_min <= after[0] && after[0] <= weather.delay_max, "{after:?}");
        }
    }

    #[test]
    fn storms_lose_double_and_delay() {
        let mut random = stream(2, "test");
        let weather = Weather { loss: 200, doubled: 200, stray: 200, ..Weather::default() };
        let mut seen = [0; 4];
        for _ in 0..1000 {
            match fate(&mut random, weather, false) {
                Fate::Arrives { after } => {
                    seen[0] += usize::from(after.len() == 2);
                    seen[1] += usize::from(after[0] > weather.delay_max);
                }
                Fate::Refused { .. } => seen[2] += 1,
                Fate::Swallowed { .. } => seen[3] += 1,
            }
        }
        assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
    }

    #[test]
    fn nothing_arrives_where_nobody_is() {
        let mut random = stream(3, "test");
        let weather = Weather { loss: 500, ..Weather::default() };
        let arrives = (0..200).any(|_| matches!(fate(&mut random, weather, true), Fate::Arrives { .. }));
        assert!(!arrives);
    }
}
