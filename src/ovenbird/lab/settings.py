"""Settings of a lab's cloud, written to a file that all its processes read."""

import asyncio
from collections.abc import Mapping

from ovenbird.lab.errors import LabError
from ovenbird.model.settings import SettingError, checked
from ovenbird.model.stored_settings import UnreachableError, change, opened


def configure(cloud: str, settings: Mapping[str, str]) -> None:
    """Give a cloud settings besides those that it has.

    Arguments:
        cloud: its Cloud database, as `ovsdb-client` takes it.
        settings: name to value.

    Raises:
        LabError: a setting is unknown or invalid, or the database refuses; nothing is changed.
    """
    try:
        asyncio.run(_change(cloud, checked(settings)))
    except (SettingError, UnreachableError) as error:
        raise LabError(str(error)) from error


async def _change(cloud: str, settings: Mapping[str, str]) -> None:
    async with opened(cloud) as client:
        await change(client, settings)
