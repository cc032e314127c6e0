//! The `dvms` binary; everything is in the library.

fn main() -> std::process::ExitCode {
    dvms::cli::main()
}
