"""Fields that our forms declare or make themselves, under a theme in which plain ones cannot be seen."""

from __future__ import annotations

from django import forms

from mediagen.admin import theme


class Themes(forms.TextInput):
    __module__ = "unfold.widgets"


class Form(forms.Form):
    text = forms.CharField(widget=forms.TextInput(attrs={"class": "vTextField"}))
    number = forms.IntegerField()
    choice = forms.ChoiceField()
    switch = forms.BooleanField()
    hidden = forms.CharField(widget=forms.HiddenInput)
    day = forms.SplitDateTimeField()
    theirs = forms.CharField(widget=Themes)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["late"] = forms.CharField(widget=forms.Textarea)


def test_they_look_like_those_of_the_theme(monkeypatch):
    kinds = {forms.Textarea: ["area"], forms.Select: ["choice"]}
    plain = {kind: ["line"] for kind in (forms.TextInput, forms.NumberInput)}
    monkeypatch.setattr(theme, "CLASSES", {**kinds, **plain})

    form = theme.themed(Form)()

    looks = {name: field.widget.attrs.get("class", "") for name, field in form.fields.items() if name != "day"}
    assert looks == {
        "text": "vTextField line",
        "number": "line",
        "choice": "choice",
        "switch": "",
        "hidden": "",
        "theirs": "",
        "late": "area",
    }
    assert [part.attrs["class"] for part in form.fields["day"].widget.widgets] == ["line", "line"]
    assert Form().fields["number"].widget.attrs.get("class") is None


def test_djangos_own_admin_needs_nothing():
    assert theme.themed(Form) is Form
