//! The gRPC edge: conversion, validation, errors. Wire types stop here.

pub mod convert;
pub mod error;
pub mod filter;
pub mod page;
