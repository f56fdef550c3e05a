"""The app's pages: path("mediagen/", include("mediagen.urls"))."""

from django.urls import path

from mediagen import views, views_files, views_webhooks
from mediagen.studio.files.sharing import ShareView
from mediagen.studio.files.upload import UploadView
from mediagen.studio.generation.words import WordsView
from mediagen.studio.library import chooser
from mediagen.studio.library.alt_texts import AltTextsView, AltTextView
from mediagen.studio.library.boards import CollectionsView, CollectionView
from mediagen.studio.library.compare import CompareView
from mediagen.studio.library.doing import ActionView
from mediagen.studio.library.gallery import GalleryView, ProgressView
from mediagen.studio.library.live import gallery_events
from mediagen.studio.library.many import JobView, ManyView
from mediagen.studio.library.story import AssetView, StoryView
from mediagen.studio.library.workbench import WorkbenchView

app_name = "mediagen"

urlpatterns = [
    path("webhooks/<str:provider>/", views_webhooks.receive, name="webhook"),
    # The studio's prompt box stands over the gallery: one page, by both names.
    path("", GalleryView.as_view(), name="gallery"),
    path("studio/", GalleryView.as_view(), name="studio"),
    path("studio/progress/", ProgressView.as_view(), name="studio-progress"),
    path("studio/events/", gallery_events, name="studio-events"),
    path("studio/upload/", UploadView.as_view(), name="studio-upload"),
    path("studio/compare/", CompareView.as_view(), name="studio-compare"),
    path("studio/many/", ManyView.as_view(), name="studio-many"),
    path("studio/prompts/", WordsView.as_view(), name="studio-prompts"),
    path("studio/collections/", CollectionsView.as_view(), name="studio-collections"),
    path("studio/collections/<uuid:pk>/", CollectionView.as_view(), name="studio-collection"),
    path("studio/jobs/<uuid:pk>/", JobView.as_view(), name="studio-job"),
    path("studio/assets/<uuid:pk>/story/", StoryView.as_view(), name="studio-story"),
    path("studio/assets/<uuid:pk>/share/", ShareView.as_view(), name="studio-share"),
    path("studio/assets/<uuid:pk>/edit/", WorkbenchView.as_view(), name="studio-edit"),
    path("studio/assets/<uuid:pk>/<slug:action>/", ActionView.as_view(), name="studio-action"),
    path("alt-texts/", AltTextsView.as_view(), name="alt-texts"),
    path("alt-texts/<uuid:pk>/", AltTextView.as_view(), name="alt-text"),
    path("chooser/", chooser.ChooserView.as_view(), name="chooser"),
    path("chooser/upload/", chooser.ChooserUploadView.as_view(), name="chooser-upload"),
    path("chooser/generate/", chooser.ChooserGenerateView.as_view(), name="chooser-generate"),
    path("chooser/tiles/", chooser.ChooserTilesView.as_view(), name="chooser-tiles"),
    path("assets/<uuid:pk>/", AssetView.as_view(), name="asset"),
    path("assets/<uuid:pk>/file/", views.AssetFileView.as_view(), name="asset-file"),
    path("assets/<uuid:pk>/original/", views.AssetOriginalView.as_view(), name="asset-original"),
    path("assets/<uuid:pk>/rendition/", views_files.RenditionView.as_view(), name="asset-rendition"),
    path("files/<str:token>/", views_files.SignedFileView.as_view(), name="signed-file"),
    path("pictures/<str:token>", views_files.PagePictureView.as_view(), name="page-picture"),
]
