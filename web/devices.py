"""A password for every device: shown once with what to type into the mail program."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from appliance.errors import UsageError
from web.house import house, person
from web.language import t

room = Blueprint("devices", __name__)


@room.get("/devices")
def listed() -> str:
    """This person's devices."""
    return _page()


@room.post("/devices")
def add() -> AnyResponse:
    """A new device; the answer itself shows the password, and no other page ever will."""
    name = request.form.get("name", "").strip()
    try:
        made = house().household.add_device(person().name, name)
    except UsageError as error:
        flash(str(error), "error")
        return Response(_page(), 400)
    return Response(_page(made))


@room.post("/devices/<int:device_id>/revoke")
def revoke(device_id: int) -> AnyResponse:
    """The device's password opens nothing any more."""
    for device in house().household.devices(person().name):
        if device.id == device_id:
            house().household.revoke_device(device.id)
            flash(t("{name} cannot sign in any more.", name=device.name), "good")
            return redirect(url_for("devices.listed"))
    raise NotFound


def _page(made: object = None) -> str:
    config = house().config
    return render_template(
        "devices.html",
        devices=house().household.devices(person().name),
        made=made,
        host=request.host.rpartition(":")[0] or request.host,
        config=config,
    )
