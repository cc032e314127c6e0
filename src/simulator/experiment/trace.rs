//! An experiment is given the files of its recorded load.

use super::Experiment;
use super::load::What;
use crate::simulator::load::{Text, TextFault, azure, bitbrains, planetlab};

impl Experiment {
    /// Takes the files of its recorded load, in order; where it has none, there is nothing to give. There are then as many VMs
    /// as the trace has, or the first of them, as many as the experiment says.
    ///
    /// # Errors
    /// What is wrong in the files.
    pub fn give(&mut self, files: &[Text]) -> Result<(), Vec<TextFault>> {
        let trace = match &self.load.what {
            What::Planetlab(_) => planetlab(files)?,
            What::Bitbrains(_) => bitbrains(files)?,
            What::Azure(it) => azure(files, it, self.seconds, self.load_seed())?,
            _ => return Ok(()),
        };
        let have = trace.rows.len() as u32;
        if self.vms.count > have {
            let message = format!("{} VMs are to be taken (vms.count), but there are {have}", self.vms.count);
            let file = files.first().map(|file| file.name.clone()).unwrap_or_default();
            return Err(vec![TextFault { file, line: None, message }]);
        }
        if self.vms.count == 0 {
            self.vms.count = have;
        }
        self.load.take(trace);
        Ok(())
    }
}
