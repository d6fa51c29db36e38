//! The data directory: what a server keeps, and where.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use shared::{auth::Keyring, platform::Clock};

use crate::{
    clock::SystemClock,
    objects::{FileObjects, Signer},
    store::{OpenError, Store},
    table::RedbTable,
};

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the data directory cannot be used: {what} {}", path.display())]
pub struct DataError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A server's folder. Only its owner may look into it.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    root: PathBuf,
}

/// A key for the command line on the same machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// The project.
    pub project_id: String,
    /// The key's public half.
    pub access_key_id: String,
    /// The key's secret half.
    pub secret_access_key: String,
}

impl DataDirectory {
    /// The directory at `root`, made if it is not there.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError { what: "cannot make", path: root.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
        let data = DataDirectory { root: root.canonicalize().map_err(failed)? };
        // Containers reach their folders by a mount, not by this path, but an
        // agent that runs as a plain process walks it.
        fs::set_permissions(&data.root, fs::Permissions::from_mode(0o711)).map_err(failed)?;
        Ok(data)
    }

    /// Opens the table and the objects: one file with one writer for both, so
    /// that what is written to either becomes durable together.
    pub fn open_stores(
        &self,
        cache_bytes: usize,
        keyring: &Keyring,
        clock: &Arc<dyn Clock>,
    ) -> Result<(RedbTable, FileObjects), OpenError> {
        let path = self.root.join("table.redb");
        let store = Arc::new(Store::open(&path, cache_bytes)?);
        let table = RedbTable::new(Arc::clone(&store), Arc::clone(clock))
            .map_err(|source| OpenError::Unusable { path, source })?;
        let signer = Signer::new(keyring.url_key());
        let objects =
            FileObjects::open(&self.root.join("objects"), store, signer, Arc::clone(clock))?;
        Ok((table, objects))
    }

    /// The folder that agents find at `/.tarpon`: the program and the socket.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The folder of live attempts.
    pub fn attempts(&self) -> PathBuf {
        self.root.join("attempts")
    }

    /// The operator's socket.
    pub fn operator_socket(&self) -> PathBuf {
        self.root.join("operator.sock")
    }

    /// The file that tells where a running server listens.
    pub fn server_file(&self) -> PathBuf {
        self.root.join("server.json")
    }

    /// The file with the key for the command line.
    pub fn credentials_file(&self) -> PathBuf {
        self.root.join("credentials.json")
    }

    /// The master key, made at first use. Everything secret follows from it.
    pub fn master_key(&self) -> Result<[u8; 32], DataError> {
        let path = self.root.join("master.key");
        let failed = |what, source| DataError { what, path: path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let key = HEXLOWER.decode(text.trim().as_bytes()).ok();
                let bad = || io::Error::other("it is not 64 hex digits");
                let key = key.and_then(|key| key.try_into().ok()).ok_or_else(bad);
                key.map_err(|source| failed("cannot read", source))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let clock: &dyn Clock = &SystemClock;
                let key: [u8; 32] = clock.random();
                let text = format!("{}\n", HEXLOWER.encode(&key));
                self.write(&path, text.as_bytes(), 0o600)?;
                Ok(key)
            }
            Err(error) => Err(failed("cannot read", error)),
        }
    }

    /// Tells this directory's containers from another's: stays as long as it.
    pub fn instance(master: &[u8; 32]) -> String {
        use sha2::{Digest, Sha256};
        HEXLOWER.encode(&Sha256::digest([b"instance", &master[..]].concat())[..8])
    }

    /// Writes a file whole or not at all.
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), DataError> {
        let failed = |source| DataError { what: "cannot write", path: path.to_owned(), source };
        let temporary = path.with_extension("new");
        let _ = fs::remove_file(&temporary);
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(mode).open(&temporary).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)?;
        fs::File::open(&self.root).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Makes the folder that agents find at `/.tarpon`, with the program in it.
    pub fn install_agent(&self, program: &[u8]) -> Result<PathBuf, DataError> {
        let home = self.home();
        let failed = |source| DataError { what: "cannot make", path: home.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&home).map_err(failed)?;
        let path = home.join(shared::agent::PROGRAM);
        // A program that runs cannot be written to; one that is the same need not be.
        if fs::read(&path).is_ok_and(|there| there == program) {
            return Ok(path);
        }
        self.write(&path, program, 0o755)?;
        Ok(path)
    }
}
