from django.urls import URLPattern

app_name = "mediagen"
urlpatterns: list[URLPattern] = []
