//! Code that the tests share: nodes with and without a network, their users, and browsers.

// Each test file is a program of its own and uses a part of this module.
#![allow(dead_code)]

pub(crate) mod guest;
pub(crate) mod hall;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod pages;
pub(crate) mod program;
