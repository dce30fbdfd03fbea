from django.http import HttpResponse
from django.urls import path

from notes.models import Note


def notes(request):
    if request.method == "POST":
        Note.objects.create(text=request.body.decode())
    return HttpResponse("".join(f"{note.id}. {note.text}\n" for note in Note.objects.order_by("id")), content_type="text/plain")


urlpatterns = [path("", notes)]
