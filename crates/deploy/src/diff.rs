//! What changed from one text to another, by lines, as `diff -u` shows it.

/// Lines around a change that are shown.
const AROUND: usize = 2;
/// Texts of more lines than this are compared from both ends only: the table of all pairs would be too large.
const LINES_MAX: usize = 4000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    Gone,
    New,
}

/// The difference, each line with a newline; empty where there is none.
#[must_use]
pub fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let steps = steps(&old, &new);
    let changed: Vec<usize> =
        steps.iter().enumerate().filter(|(_, (step, ..))| *step != Step::Same).map(|(at, _)| at).collect();
    let near = |at: usize| {
        let next = changed.partition_point(|changed| *changed + AROUND < at);
        changed.get(next).is_some_and(|changed| *changed <= at + AROUND)
    };
    let (mut text, mut last) = (String::new(), None);
    for (at, (step, line, number)) in steps.iter().enumerate() {
        if !near(at) {
            continue;
        }
        if last.is_none_or(|last| last + 1 != at) {
            text += &format!("@@ line {number} @@\n");
        }
        let sign = match step {
            Step::Same => ' ',
            Step::Gone => '-',
            Step::New => '+',
        };
        text += &format!("{sign}{line}\n");
        last = Some(at);
    }
    text
}

/// Every line of both, with the line of the old text that it is at.
fn steps<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Step, &'a str, usize)> {
    let front = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let most = old.len().min(new.len()) - front;
    let back =
        old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(one, other)| one == other).count();
    let (old_middle, new_middle) = (&old[front..old.len() - back], &new[front..new.len() - back]);
    let same = |lines: &[&'a str], first: usize| -> Vec<_> {
        lines.iter().enumerate().map(|(at, line)| (Step::Same, *line, first + at + 1)).collect()
    };
    let mut steps = same(&old[..front], 0);
    steps.extend(middle(old_middle, new_middle, front));
    steps.extend(same(&old[old.len() - back..], old.len() - back));
    steps
}

fn middle<'a>(old: &[&'a str], new: &[&'a str], first: usize) -> Vec<(Step, &'a str, usize)> {
    // common[i][j]: lines that old[i..] and new[j..] have in common, in their order.
    let is_large = old.len().max(new.len()) > LINES_MAX;
    let width = if is_large { 1 } else { new.len() + 1 };
    let height = if is_large { 1 } else { old.len() + 1 };
    let mut common = vec![0_u16; width * height];
    for i in (0..height - 1).rev() {
        for j in (0..width - 1).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut steps) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let inside = !is_large && i < old.len() && j < new.len();
        if inside && old[i] == new[j] {
            steps.push((Step::Same, old[i], first + i + 1));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || i < old.len() && (!inside || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            steps.push((Step::Gone, old[i], first + i + 1));
            i += 1;
        } else {
            steps.push((Step::New, new[j], first + i + 1));
            j += 1;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_changed_is_shown_with_its_surroundings() {
        assert_eq!(diff("a\nb\nc\n", "a\nb\nc\n"), "");
        assert_eq!(
            diff("1\n2\n3\n4\n5\n6\n", "1\n2\n3\nx\n5\n6\n"),
            "@@ line 2 @@\n 2\n 3\n-4\n+x\n 5\n 6\n"
        );
        assert_eq!(diff("", "a\n"), "@@ line 1 @@\n+a\n");
        assert_eq!(diff("a\n", ""), "@@ line 1 @@\n-a\n");
    }

    proptest! {
        /// Without what is new the lines are the old ones, without what is gone the new ones.
        #[test]
        fn nothing_is_made_up(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let (before, after): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
            let steps = steps(&before, &after);
            let but = |step: Step| steps.iter().filter(|(own, ..)| *own != step).map(|(_, line, _)| *line).collect::<Vec<_>>();
            prop_assert_eq!(but(Step::New), before);
            prop_assert_eq!(but(Step::Gone), after);
            prop_assert_eq!(diff(&old, &new).is_empty(), old.lines().eq(new.lines()));
        }
    }
}
