//! The world against what VMPlaceS has recorded, and by itself.

mod chaos;
mod lacking;
mod replay;
mod transfers;
