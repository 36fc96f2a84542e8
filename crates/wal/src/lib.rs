//! Log records and batches.
