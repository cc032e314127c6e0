//! What the examples read alike from their command line.

use dvms_solver::Backend;

/// Who solves, by its name; anything else is the default.
pub(crate) fn backend(name: &str) -> Backend {
    match name {
        "heuristic" => Backend::Heuristic,
        "highs" => Backend::Highs,
        "cp" => Backend::Cp,
        _ => Backend::Auto,
    }
}
