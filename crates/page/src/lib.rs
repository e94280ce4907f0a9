//! The page shell that applications on Bennu share.
