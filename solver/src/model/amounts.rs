//! Arithmetic on vectors of amounts.

use super::Amount;

/// `a += b`.
pub(crate) fn add(a: &mut [Amount], b: &[Amount]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x += y;
    }
}
