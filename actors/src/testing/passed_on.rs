//! What the backends that tests put around the one in memory leave to it.

/// These operations of a `Backend`, each done by the backend in this field. The types have the names that they have in
/// `coppice_containers`.
macro_rules! passed_on {
    ($containers:ident) => {
        fn create_subcontainer_fs<'a>(
            &'a self,
            instance: &'a Segment,
            image: &'a Segment,
            guid: &'a Segment,
        ) -> Pending<'a, Result<(), OpError>> {
            self.$containers
                .create_subcontainer_fs(instance, image, guid)
        }

        fn destroy_subcontainer_fs<'a>(
            &'a self,
            instance: &'a Segment,
            guid: &'a Segment,
        ) -> Pending<'a, Result<(), OpError>> {
            self.$containers.destroy_subcontainer_fs(instance, guid)
        }

        fn subcontainers<'a>(
            &'a self,
            instance: &'a Segment,
        ) -> Pending<'a, Result<Vec<Segment>, OpError>> {
            self.$containers.subcontainers(instance)
        }

        fn mount_into<'a>(
            &'a self,
            instance: &'a Segment,
            mount: &'a VolumeMount,
        ) -> Pending<'a, Result<(), OpError>> {
            self.$containers.mount_into(instance, mount)
        }

        fn set_limits<'a>(
            &'a self,
            instance: &'a Segment,
            limits: &'a Limits,
        ) -> Pending<'a, Result<(), OpError>> {
            self.$containers.set_limits(instance, limits)
        }

        fn usage<'a>(
            &'a self,
            instance: &'a Segment,
            leaf: Option<&'a Segment>,
        ) -> Pending<'a, Result<Usage, OpError>> {
            self.$containers.usage(instance, leaf)
        }

        fn files_in_use(&self) -> Pending<'_, Result<Vec<PathBuf>, OpError>> {
            self.$containers.files_in_use()
        }

        fn preflight(&self) -> Pending<'_, Vec<Check>> {
            self.$containers.preflight()
        }
    };
}

pub(crate) use passed_on;
