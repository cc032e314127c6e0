//! Leaves out what the rest implies: who waits for the last of a row waits for all of it.

use super::run::Step;

/// With more steps than this the sets of predecessors take too much memory.
const MOST: usize = 20_000;

/// For each step, the steps that it must name.
pub(super) fn reduced(steps: &[Step]) -> Vec<Vec<u32>> {
    if steps.len() > MOST {
        return steps.iter().map(|step| step.after.clone()).collect();
    }
    let words = steps.len().div_ceil(64);
    let mut before: Vec<Vec<u64>> = Vec::with_capacity(steps.len());
    let mut result = Vec::with_capacity(steps.len());
    for step in steps {
        // From late to early: what is in a later one's row is implied.
        let mut all = vec![0_u64; if step.after.is_empty() { 0 } else { words }];
        let mut named = Vec::new();
        for &other in step.after.iter().rev() {
            let (word, bit) = (other as usize / 64, 1 << (other % 64));
            if all[word] & bit != 0 {
                continue;
            }
            named.push(other);
            all[word] |= bit;
            all.iter_mut().zip(&before[other as usize]).for_each(|(a, b)| *a |= b);
        }
        named.reverse();
        result.push(named);
        before.push(all);
    }
    result
}
